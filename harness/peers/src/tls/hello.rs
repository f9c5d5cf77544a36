//! A ClientHello, of SSL 3.0 to TLS 1.3, read byte for byte: what a device offers, in numbers and in names.
//!
//! The device is the adversary. A hello has at most 64 KiB, in any number of records; what is no hello is an error with its reason. An extension that cannot
//! be read does not spoil the rest of the hello: it is named in [`ClientHello::unreadable`], as a server that does not know it would pass over it.
//! Nothing is decided here: values that nobody knows and GREASE values (RFC 8701) stay in their place.
//!
//! The hello of SSL 2.0 is not read; it is told apart as [`HelloError::Wire`], because its first byte is no record of TLS.
//!
//! Run against: the clients of Debian's OpenSSL 3.0 (`openssl s_client`) and curl 7.88.1.

use super::names;
use super::wire::{Fields, Intake, NotTls, Step, numbers};

/// Kind of message: ClientHello.
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
/// Most values of a list that are told in words, and most protocols, whose names are the device's text.
const WORDS_MOST: usize = 200;
const PROTOCOLS_MOST: usize = 16;

/// Why bytes are no ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not the beginning of a TLS connection.
    #[error(transparent)]
    Wire(#[from] NotTls),
    /// The bytes end before the hello does.
    #[error("it ends before the ClientHello does")]
    Short,
    /// Another message came first.
    #[error("a handshake message of kind {0} comes first")]
    Other(u8),
    /// An alert came first.
    #[error("the alert {} comes first", names::alert(*.0))]
    Alert(u8),
    /// The message is a ClientHello in name, and this field of it cannot be read.
    #[error("the ClientHello's {0} cannot be read")]
    Field(&'static str),
}

/// What a client offers. Lists are in the client's order, with every value that it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// Version in the head of the first record.
    pub record_version: u16,
    /// Version in the hello itself; TLS 1.3 says 1.2 here.
    pub legacy_version: u16,
    /// The client's random bytes.
    pub random: [u8; 32],
    /// Session that the client wants to resume; up to 32 bytes.
    pub session: Vec<u8>,
    /// Cipher suites, signals among them.
    pub suites: Vec<u16>,
    /// Compression methods.
    pub compression: Vec<u8>,
    /// Every extension: its number and its bytes.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// `supported_versions`; empty: not sent, and the version offered is `legacy_version`.
    pub versions: Vec<u16>,
    /// `supported_groups`.
    pub groups: Vec<u16>,
    /// `signature_algorithms`.
    pub signatures: Vec<u16>,
    /// Host name of `server_name`, as it was sent.
    pub server_name: Option<Vec<u8>>,
    /// Protocols of `application_layer_protocol_negotiation`.
    pub alpn: Vec<Vec<u8>>,
    /// Extensions among those read here that are malformed.
    pub unreadable: Vec<u16>,
}

impl ClientHello {
    /// Reads a hello from the first byte of a connection on. Bytes behind it are not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, HelloError> {
        let mut reader = HelloReader::default();
        // More than the bound may follow behind the hello.
        let bounded = bytes.get(..reader.room()).unwrap_or(bytes);
        match reader.feed(bounded)? {
            Some(hello) => Ok(hello),
            None if bounded.len() < bytes.len() => Err(HelloError::Wire(NotTls::Long(bytes.len()))),
            None => Err(HelloError::Short),
        }
    }

    /// Versions that the client would speak: `supported_versions`, else all from `legacy_version` down is for the server to choose, and only that is told.
    pub fn offered_versions(&self) -> &[u16] {
        if self.versions.is_empty() { std::slice::from_ref(&self.legacy_version) } else { &self.versions }
    }

    /// The hello in names, on one line.
    pub fn words(&self) -> String {
        let mut parts = vec![format!("ClientHello {} in a {} record", names::version(self.legacy_version), names::version(self.record_version))];
        let mut add = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                parts.push(format!("{what}: {}", values.join(" ")));
            }
        };
        add("versions", told(&self.versions, WORDS_MOST, names::version).iter().map(|v| v.replace(' ', "")).collect());
        add("suites", told(&self.suites, WORDS_MOST, names::suite));
        add("groups", told(&self.groups, WORDS_MOST, names::group));
        add("signatures", told(&self.signatures, WORDS_MOST, names::scheme));
        add("SNI", self.server_name.iter().map(|n| names::shown(n)).collect());
        add("ALPN", told(&self.alpn, PROTOCOLS_MOST, |p| names::shown(&p)));
        add("unreadable extensions", told(&self.unreadable, WORDS_MOST, |n| n.to_string()));
        parts.join("; ")
    }

    fn read(record_version: u16, body: &[u8]) -> Result<Self, HelloError> {
        let mut fields = Fields(body);
        let field = |name| move || HelloError::Field(name);
        let legacy_version = fields.u16().ok_or_else(field("version"))?;
        let random = fields.take(32).and_then(|r| r.try_into().ok()).ok_or_else(field("random"))?;
        let session = fields.short().filter(|s| s.len() <= 32).ok_or_else(field("session"))?.to_vec();
        let suites = fields.long().and_then(numbers).filter(|s| !s.is_empty()).ok_or_else(field("list of cipher suites"))?;
        let compression = fields.short().ok_or_else(field("list of compression methods"))?.to_vec();
        let mut hello = Self {
            record_version,
            legacy_version,
            random,
            session,
            suites,
            compression,
            extensions: Vec::new(),
            versions: Vec::new(),
            groups: Vec::new(),
            signatures: Vec::new(),
            server_name: None,
            alpn: Vec::new(),
            unreadable: Vec::new(),
        };
        // Extensions came with TLS 1.0 as an addition behind the end.
        if !fields.is_empty() {
            let mut all = Fields(fields.long().ok_or_else(field("list of extensions"))?);
            while !all.is_empty() {
                let (kind, data) = all.u16().zip(all.long()).ok_or_else(field("list of extensions"))?;
                if hello.extension(kind, data).is_none() {
                    hello.unreadable.push(kind);
                }
                hello.extensions.push((kind, data.to_vec()));
            }
        }
        Ok(hello)
    }

    /// `None`: this extension is malformed.
    fn extension(&mut self, kind: u16, data: &[u8]) -> Option<()> {
        let mut fields = Fields(data);
        match kind {
            SERVER_NAME => {
                let mut list = Fields(fields.long()?);
                while !list.is_empty() {
                    let (name_kind, name) = list.u8().zip(list.long())?;
                    if name_kind == 0 && self.server_name.is_none() {
                        self.server_name = Some(name.to_vec());
                    }
                }
            }
            SUPPORTED_GROUPS => self.groups = numbers(fields.long()?)?,
            SIGNATURE_ALGORITHMS => self.signatures = numbers(fields.long()?)?,
            ALPN => {
                let mut list = Fields(fields.long()?);
                let mut protocols = Vec::new();
                while !list.is_empty() {
                    protocols.push(list.short()?.to_vec());
                }
                self.alpn = protocols;
            }
            SUPPORTED_VERSIONS => self.versions = numbers(fields.short()?)?,
            _ => return Some(()),
        }
        fields.is_empty().then_some(())
    }
}

fn told<T: Clone>(values: &[T], most: usize, name: impl Fn(T) -> String) -> Vec<String> {
    let mut words: Vec<String> = values.iter().take(most).cloned().map(name).collect();
    if values.len() > most {
        words.push(format!("and {} more", values.len() - most));
    }
    words
}

/// Reads a hello as its bytes come.
#[derive(Debug, Default)]
pub struct HelloReader(Intake);

impl HelloReader {
    /// All that was fed, byte for byte.
    pub fn raw(&self) -> &[u8] {
        self.0.raw()
    }

    /// How many bytes may still be fed.
    pub fn room(&self) -> usize {
        self.0.room()
    }

    /// Takes the next bytes. `None`: the hello is not whole yet. After an answer or an error the reader is of no more use than its [`raw`](Self::raw).
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
        match self.0.feed(bytes)? {
            Step::More => Ok(None),
            Step::Message(CLIENT_HELLO, body) => Ok(Some(ClientHello::read(self.0.version().unwrap_or_default(), &body)?)),
            Step::Message(other, _) => Err(HelloError::Other(other)),
            Step::Alert(_, description) => Err(HelloError::Alert(description)),
        }
    }
}

#[cfg(test)]
mod tests;
