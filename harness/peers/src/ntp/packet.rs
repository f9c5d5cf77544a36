//! The packet of RFC 5905 (7.3) and its timestamps.

/// Length without extensions and MAC.
pub(crate) const LENGTH: usize = 48;
/// Nanoseconds in a second.
pub(crate) const SECOND: i128 = 1_000_000_000;
/// The Unix epoch in seconds of NTP's era 0.
pub(crate) const UNIX_IN_NTP: i128 = 2_208_988_800;

const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// Some microsecond, as a power of two.
const PRECISION: i8 = -20;

/// Why a client is sent away (RFC 5905, 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kiss {
    /// It asks too often.
    Rate,
    /// Access is denied.
    Deny,
    /// Access is denied by local policy.
    Restrict,
}

impl Kiss {
    pub(crate) fn code(self) -> [u8; 4] {
        match self {
            Self::Rate => *b"RATE",
            Self::Deny => *b"DENY",
            Self::Restrict => *b"RSTR",
        }
    }
}

/// A timestamp of 64 bits: seconds of the moment's era, and their fraction. The era is not told.
pub(crate) fn stamp(unix: i128) -> u64 {
    let seconds = unix.div_euclid(SECOND).saturating_add(UNIX_IN_NTP).rem_euclid(1 << 32);
    let fraction = (unix.rem_euclid(SECOND) << 32) / SECOND;
    ((seconds as u64) << 32) | fraction as u64
}

/// What of a request its answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub version: u8,
    pub poll: u8,
    pub transmit: u64,
}

impl Request {
    pub fn read(datagram: &[u8]) -> Result<Self, String> {
        let Some((packet, _)) = datagram.split_first_chunk::<LENGTH>() else { return Err(format!("{} bytes", datagram.len())) };
        let (version, mode) = ((packet[0] >> 3) & 7, packet[0] & 7);
        if mode != CLIENT {
            return Err(format!("mode {mode}"));
        }
        if !(1..=4).contains(&version) {
            return Err(format!("version {version}"));
        }
        let transmit = packet[40..].iter().fold(0, |t, b| (t << 8) | u64::from(*b));
        Ok(Self { version, poll: packet[2], transmit })
    }
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reply {
    pub leap: u8,
    pub stratum: u8,
    pub reference_id: [u8; 4],
    pub referred: u64,
    pub origin: u64,
    pub received: u64,
    pub sent: u64,
}

impl Reply {
    pub fn write(&self, to: &Request) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        out[0] = (self.leap & 3) << 6 | to.version << 3 | SERVER;
        out[1] = self.stratum;
        out[2] = to.poll;
        out[3] = PRECISION.to_be_bytes()[0];
        // No root delay; a root dispersion of 1/4096 s.
        out[8..12].copy_from_slice(&16_u32.to_be_bytes());
        out[12..16].copy_from_slice(&self.reference_id);
        out[16..24].copy_from_slice(&self.referred.to_be_bytes());
        out[24..32].copy_from_slice(&self.origin.to_be_bytes());
        out[32..40].copy_from_slice(&self.received.to_be_bytes());
        out[40..48].copy_from_slice(&self.sent.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    // The dates of RFC 5905, figure 4.
    #[case("1900-01-01", -2_208_988_800, 0)]
    #[case("1970-01-01", 0, 2_208_988_800)]
    #[case("1999-12-31", 946_598_400, 3_155_587_200)]
    #[case("last second of era 0", 2_085_978_495, u32::MAX)]
    #[case("2036-02-08, 63104 s into era 1", 2_085_978_496 + 63_104, 63_104)]
    #[case("2038-01-19, overflow of the Unix time", 1 << 31, 61_505_152)]
    #[case("the second before 1900", -2_208_988_801, u32::MAX)]
    fn seconds_count_within_the_era(#[case] _date: &str, #[case] unix: i128, #[case] ntp: u32) {
        assert_eq!(stamp(unix * SECOND) >> 32, u64::from(ntp));
        assert_eq!(stamp(unix * SECOND) & 0xffff_ffff, 0);
    }

    #[rstest]
    #[case(SECOND / 2, 0x8000_0000)]
    #[case(SECOND / 4, 0x4000_0000)]
    #[case(SECOND - 1, 0xffff_fffb)]
    #[case(-SECOND / 2, 0x8000_0000)]
    fn fractions_are_of_the_second_that_runs(#[case] unix: i128, #[case] fraction: u64) {
        assert_eq!(stamp(unix) & 0xffff_ffff, fraction);
    }

    #[test]
    fn moments_beyond_every_calendar_are_stamps_too() {
        let _ = (stamp(i128::MAX), stamp(i128::MIN));
    }

    #[rstest]
    #[case(&[0x23; 47], "47 bytes")]
    #[case(&[], "0 bytes")]
    #[case(&[0x24; 48], "mode 4")]
    #[case(&[0x26; 48], "mode 6")]
    #[case(&[0x03; 48], "version 0")]
    #[case(&[0x2b; 48], "version 5")]
    fn what_is_no_request_says_why(#[case] datagram: &[u8], #[case] why: &str) {
        assert_eq!(Request::read(datagram), Err(why.to_owned()));
    }

    #[test]
    fn an_answer_has_its_fields_where_the_rfc_has_them() {
        let mut datagram = [0; LENGTH];
        (datagram[0], datagram[2]) = (0xdb, 6);
        datagram[40..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let request = Request::read(&datagram).unwrap();
        let reply =
            Reply { leap: 3, stratum: 16, reference_id: *b"LAB\0", referred: 1, origin: request.transmit, received: 2, sent: 3 }.write(&request);
        assert_eq!(reply[..4], [0xdc, 16, 6, 0xec]);
        assert_eq!(reply[12..24], *b"LAB\0\0\0\0\0\0\0\0\x01");
        assert_eq!(reply[24..32], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((reply[39], reply[47]), (2, 3));
    }
}
