//! Requests to one SNMP agent: sent again a few times, answered by numbers, refused in words.

use crate::secret::Secret;
use crate::text::shown;
use crate::{TimeBase, runtime};
use proofbench_channel::{ChannelError, ErrorKind, Wait};
use serde::Deserialize;
use snmp2::v3::{Auth, AuthErrorKind, AuthProtocol, Security};
use snmp2::{AsyncSession, Error, Oid, Pdu, Value};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::task::AbortOnDropHandle;

/// How long one answer may take, in real time.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a request is sent at most.
const SENDINGS: usize = 5;

/// SNMP version and who asks.
#[derive(Debug, Clone)]
pub enum Access {
    /// Version 1 with this community.
    V1(Secret),
    /// Version 2c with this community.
    V2c(Secret),
    /// Version 3 with its user.
    V3(V3),
}

/// A user of SNMPv3. Without `auth` anybody may speak in his name; without `privacy` anybody may read along.
#[derive(Debug, Clone)]
pub struct V3 {
    /// Name.
    pub user: String,
    /// How requests are signed.
    pub auth: Option<(Digest, Secret)>,
    /// How they are encrypted; needs `auth`.
    pub privacy: Option<(Cipher, Secret)>,
}

/// Hash functions of SNMPv3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their names say all
pub enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Ciphers of SNMPv3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their names say all
pub enum Cipher {
    Des,
    Aes128,
    Aes192,
    Aes256,
}

impl From<Digest> for AuthProtocol {
    fn from(digest: Digest) -> Self {
        match digest {
            Digest::Md5 => Self::Md5,
            Digest::Sha1 => Self::Sha1,
            Digest::Sha224 => Self::Sha224,
            Digest::Sha256 => Self::Sha256,
            Digest::Sha384 => Self::Sha384,
            Digest::Sha512 => Self::Sha512,
        }
    }
}

impl From<Cipher> for snmp2::v3::Cipher {
    fn from(cipher: Cipher) -> Self {
        match cipher {
            Cipher::Des => Self::Des,
            Cipher::Aes128 => Self::Aes128,
            Cipher::Aes192 => Self::Aes192,
            Cipher::Aes256 => Self::Aes256,
        }
    }
}

impl V3 {
    fn security(&self) -> Result<Security, ChannelError> {
        let wrong = |why: &str| ChannelError::caused(ErrorKind::Unsupported, format!("use SNMPv3 as `{}`", self.user), why.to_owned());
        let security =
            |digest: AuthProtocol, secret: &Secret| Security::new(self.user.as_bytes(), secret.reveal().as_bytes()).with_auth_protocol(digest);
        Ok(match (&self.auth, &self.privacy) {
            (None, None) => Security::new(self.user.as_bytes(), b"").with_auth(Auth::NoAuthNoPriv),
            (None, Some(_)) => return Err(wrong("a cipher needs an authentication protocol")),
            (Some((digest, secret)), None) => security((*digest).into(), secret).with_auth(Auth::AuthNoPriv),
            (Some((digest, secret)), Some((cipher, private))) => {
                let (digest, cipher) = (AuthProtocol::from(*digest), snmp2::v3::Cipher::from(*cipher));
                if cipher.priv_key_needs_extension(&digest) {
                    // Makers lengthen the key in two different ways, and nobody can see which.
                    return Err(wrong("this cipher needs a longer hash; valid: sha256, sha384, sha512"));
                }
                security(digest, secret).with_auth(Auth::AuthPriv { cipher, privacy_password: private.reveal().as_bytes().to_vec() })
            }
        })
    }
}

/// An agent, and the socket to it while it answers.
pub(super) struct Session {
    address: String,
    access: Access,
    time: TimeBase,
    open: Option<AsyncSession>,
}

/// What is asked.
#[derive(Clone)]
enum Request {
    Get(Vec<Oid<'static>>),
    Set(Oid<'static>, i64),
}

/// What came of one sending.
enum Came {
    /// One number for each object.
    Numbers(Vec<i64>),
    /// Nothing, or nothing that could be meant.
    Again(ErrorKind, String),
    /// An answer that will not change.
    Never(ErrorKind, String),
}

impl Session {
    pub fn new(address: String, access: Access, time: TimeBase) -> Result<Self, ChannelError> {
        if let Access::V3(v3) = &access {
            v3.security()?;
        }
        Ok(Self { address, access, time, open: None })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn version(&self) -> &'static str {
        match self.access {
            Access::V1(_) => "SNMPv1",
            Access::V2c(_) => "SNMPv2c",
            Access::V3(_) => "SNMPv3",
        }
    }

    /// The objects' values, in their order.
    pub fn get(&mut self, objects: &[(String, Oid<'static>)], doing: &str, wait: &Wait) -> Result<Vec<i64>, ChannelError> {
        self.ask(Request::Get(objects.iter().map(|(_, oid)| oid.clone()).collect()), objects, doing, wait)
    }

    /// Sets an object.
    pub fn set(&mut self, object: &(String, Oid<'static>), value: i64, doing: &str, wait: &Wait) -> Result<(), ChannelError> {
        self.ask(Request::Set(object.1.clone(), value), std::slice::from_ref(object), doing, wait).map(drop)
    }

    fn ask(&mut self, request: Request, objects: &[(String, Oid<'static>)], doing: &str, wait: &Wait) -> Result<Vec<i64>, ChannelError> {
        let mut last = (ErrorKind::Timeout, "nothing was sent yet".to_owned());
        for sending in 1..=SENDINGS {
            match self.once(request.clone(), objects, doing, wait) {
                Ok(Came::Numbers(values)) => return Ok(values),
                Ok(Came::Never(kind, why)) => return Err(ChannelError::caused(kind, doing, why)),
                Ok(Came::Again(kind, why)) => last = (kind, format!("{why} ({sending} requests)")),
                Err(e) if e.kind == ErrorKind::Timeout => return Err(ChannelError::caused(ErrorKind::Timeout, doing, self.silence())),
                Err(e) => return Err(e),
            }
        }
        Err(ChannelError::caused(last.0, doing, last.1))
    }

    fn silence(&self) -> String {
        let (version, address) = (self.version(), &self.address);
        match self.access {
            Access::V3(_) => format!("{address} does not answer {version}: is it on, and does it allow this address?"),
            _ => format!(
                "{address} does not answer {version}: an agent is silent to a wrong community, a version it does not speak, an address it does not allow"
            ),
        }
    }

    /// One sending. The session is gone unless the agent answered: what is still on its way must not meet the next request.
    fn once(&mut self, request: Request, objects: &[(String, Oid<'static>)], doing: &str, wait: &Wait) -> Result<Came, ChannelError> {
        let (address, access) = (self.address.clone(), self.access.clone());
        let (open, silence) = (self.open.take(), self.silence());
        let names: Vec<(String, Oid<'static>)> = objects.to_vec();
        let (came, open) = runtime::run(self.time, wait, doing, async move {
            // A task of its own: a library that panics over what an agent sends must not end the bench.
            let work = AbortOnDropHandle::new(tokio::spawn(async move {
                let mut session = match open {
                    Some(session) => session,
                    None => match tokio::time::timeout(ANSWER, connect(&address, &access)).await {
                        Ok(Ok(session)) => session,
                        Ok(Err(came)) => return (came, None),
                        Err(_) => return (Came::Again(ErrorKind::Timeout, silence), None),
                    },
                };
                match tokio::time::timeout(ANSWER, exchange(&mut session, &request, &names)).await {
                    Ok(came @ Came::Numbers(_)) => (came, Some(session)),
                    Ok(came) => (came, None),
                    Err(_) => (Came::Again(ErrorKind::Timeout, silence), None),
                }
            }));
            Ok(work.await.unwrap_or_else(|_| (Came::Again(ErrorKind::Protocol, "what came could not be read at all".to_owned()), None)))
        })?;
        self.open = open;
        Ok(came)
    }
}

async fn connect(address: &str, access: &Access) -> Result<AsyncSession, Came> {
    // Any number will do that the last session did not use a moment ago.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = i32::try_from(since.as_micros() & 0x3fff_ffff).unwrap_or(1);
    let made = match access {
        Access::V1(community) => AsyncSession::new_v1(address, community.reveal().as_bytes(), first).await,
        Access::V2c(community) => AsyncSession::new_v2c(address, community.reveal().as_bytes(), first).await,
        Access::V3(v3) => match v3.security() {
            Ok(security) => AsyncSession::new_v3(address, first, security).await,
            Err(e) => return Err(Came::Never(e.kind, e.to_string())),
        },
    };
    let mut session = made.map_err(|e| Came::Again(ErrorKind::Disconnected, format!("reach {address}: {e}")))?;
    session.init().await.map_err(|e| failed(&e))?;
    Ok(session)
}

async fn exchange(session: &mut AsyncSession, request: &Request, objects: &[(String, Oid<'static>)]) -> Came {
    let answer = match request {
        Request::Get(oids) => session.get_many(&oids.iter().collect::<Vec<_>>()).await,
        Request::Set(oid, value) => session.set(&[(oid, Value::Integer(*value))]).await,
    };
    match answer {
        Ok(pdu) => numbers(&pdu, matches!(request, Request::Set(..)), objects),
        Err(e) => failed(&e),
    }
}

fn failed(error: &Error) -> Came {
    match error {
        Error::AuthUpdated => Came::Again(ErrorKind::Protocol, "the agent's clock moved".to_owned()),
        // A report without a signature: the agent knows neither why nor to whom it speaks.
        Error::AuthFailure(AuthErrorKind::NotAuthenticated) => {
            Came::Never(ErrorKind::Refused, "the agent does not accept this user, password or protocol of SNMPv3".to_owned())
        }
        Error::AuthFailure(why) => Came::Never(ErrorKind::Refused, format!("SNMPv3: {why}")),
        Error::Send | Error::Receive => Came::Again(ErrorKind::Disconnected, "nobody listens there".to_owned()),
        Error::RequestIdMismatch => Came::Again(ErrorKind::Protocol, "an answer to another request came".to_owned()),
        other => Came::Again(ErrorKind::Protocol, format!("what came is no answer: {other}")),
    }
}

fn numbers(pdu: &Pdu<'_>, set: bool, objects: &[(String, Oid<'static>)]) -> Came {
    let named = |(object, oid): &(String, Oid<'static>)| format!("{object} ({oid})");
    if pdu.error_status != 0 {
        let at = usize::try_from(pdu.error_index).unwrap_or(0).saturating_sub(1).min(objects.len().saturating_sub(1));
        let object = objects.get(at).map(named).unwrap_or_default();
        return Came::Never(ErrorKind::Refused, format!("the agent says {} about {object}", Status(pdu.error_status)));
    }
    let mut values = Vec::with_capacity(objects.len());
    let mut bound = pdu.varbinds.clone();
    for object in objects {
        let Some((oid, value)) = bound.next() else {
            return Came::Never(ErrorKind::Protocol, format!("the answer does not speak of {}", named(object)));
        };
        if oid != object.1 {
            return Came::Never(
                ErrorKind::Protocol,
                format!("the answer speaks of {} where {} was asked", shown(oid.to_string().as_bytes()), named(object)),
            );
        }
        values.push(match value {
            Value::Integer(number) => number,
            Value::NoSuchObject | Value::NoSuchInstance | Value::EndOfMibView => {
                return Came::Never(ErrorKind::Refused, format!("the agent has no {}: another family, or no such outlet", named(object)));
            }
            other => {
                return Came::Never(ErrorKind::Protocol, format!("{} is {}, not a number", named(object), shown(format!("{other:?}").as_bytes())));
            }
        });
    }
    // An agent that echoes another value than it was told has not taken it; whether it acted on it shows in the state.
    if set { Came::Numbers(Vec::new()) } else { Came::Numbers(values) }
}

/// An error status of RFC 1157 and RFC 3416 in words.
struct Status(u32);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "tooBig",
            2 => "noSuchName (no such object, or this community may not write it)",
            3 => "badValue",
            4 => "readOnly",
            5 => "genErr",
            6 => "noAccess (this community or user may not do that)",
            7 => "wrongType",
            8 => "wrongLength",
            9 => "wrongEncoding",
            10 => "wrongValue",
            11 => "noCreation (no such outlet)",
            12 => "inconsistentValue",
            13 => "resourceUnavailable",
            14 => "commitFailed",
            15 => "undoFailed",
            16 => "authorizationError (this community or user may not do that)",
            17 => "notWritable",
            18 => "inconsistentName",
            other => return write!(f, "error {other}"),
        };
        f.write_str(name)
    }
}
