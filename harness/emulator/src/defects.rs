//! Every named way in which the emulated device can be wrong (defects and controls) or merely look suspicious (twins).
//!
//! Each is one branch on [`crate::hw::Hw::defect`] at the place where a real product got it wrong. `source` says where: a number in brackets is the
//! list in section 4 of the HIL map, `#` an issue of the named project.

use std::fmt;
use std::str::FromStr;

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A non-conformity that some check must find.
    Defect,
    /// Conforming behaviour that looks suspicious; no check may fail it.
    Twin,
    /// A defect that power-cut campaigns also use as built-in negative control.
    Control,
}

/// One entry of the list.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// For the firmware's branches.
    pub id: Defect,
    /// Stable name.
    pub name: &'static str,
    /// Defect, twin or control.
    pub kind: Kind,
    /// The suite that is about it.
    pub suite: &'static str,
    /// What the device does.
    pub what: &'static str,
    /// Where it was seen.
    pub source: &'static str,
}

macro_rules! defects {
    ($($id:ident, $kind:ident, $suite:literal, $name:literal, $what:literal, $source:literal;)*) => {
        /// A defect, control or twin by name; see [`ALL`] for what each does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)] // the list itself says what each is
        pub enum Defect { $($id,)* }
        /// The whole list, in report order.
        pub const ALL: &[Entry] = &[$(Entry { id: Defect::$id, name: $name, kind: Kind::$kind, suite: $suite, what: $what, source: $source },)*];
    };
}

defects! {
SwapMagicNonatomic, Control, "power-loss", "swap-magic-nonatomic", "the swap's progress mark is written in two steps and judged by its first half", "hil-map 4 [1]; mcu-tools/mcuboot #1966";
CounterEarly, Control, "power-loss", "counter-early", "the anti-rollback counter is raised before the new image has proved that it boots", "power-loss.md section 4, control ii";
NoFlushCommit, Control, "power-loss", "no-flush-commit", "on a medium with a write cache the commit record goes out before the data is flushed (selects that medium)", "littlefs #936";
ReportBeforeCommit, Control, "power-loss", "report-before-commit", "set and confirm answer OK before anything is written", "power-loss.md section 4, control iv";
LoaderStatic, Control, "power-loss", "loader-static", "a variable of the loader survives the power cut and steers the resumed swap", "mcu-tools/mcuboot #1588";
SwapInPlace, Control, "power-loss", "swap-in-place", "the slots are exchanged in place without a progress log", "power-loss.md section 4, control vi";
SettingsResetOnTorn, Defect, "power-loss", "settings-reset-on-torn", "one torn settings record resets all settings to defaults, the password to `admin`", "hil-map 4 [3]; shining-man/bsc_fw #58";
SettingsGcLoses, Defect, "power-loss", "settings-gc-loses", "garbage collection of the settings erases the old sector before the new one is complete", "hil-map 4 [4]; Zephyr #8367";
RevertForgetsType, Defect, "power-loss", "revert-forgets-type", "an interrupted revert loses its type, so that the rejected image is swapped in again later", "mcu-tools/mcuboot #480";
RevertStuck, Defect, "power-loss", "revert-stuck", "after an interrupted revert no later update is possible", "mcu-tools/mcuboot PR 2199";
PartialUploadBoots, Defect, "power-loss", "partial-upload-boots", "a half-written image with a good header is started", "hil-map 4 [2]; MXV3A/BW16-OTA-Updates #1";
PowerCyclesReset, Defect, "power-loss", "power-cycles-reset", "five quick power cycles act as factory reset", "hil-map 4 [5]";
UserdataInPlace, Defect, "power-loss", "userdata-in-place", "user data is rewritten in place: erased, then written", "power-loss.md section 2, I4";
CountInPlace, Defect, "power-loss", "count-in-place", "the usage counter is erased, then written: a cut brings it back to 0", "power-loss.md section 2, S1";
ResetFlagFirst, Defect, "power-loss", "reset-flag-first", "factory reset clears its intent record before it has wiped everything", "checks.md row 76";
AckLostAfterTwoCuts, Defect, "power-loss", "ack-lost-after-two-cuts", "after two interrupted writes an acknowledged setting is gone", "tweedegolf/sequential-storage #136";
AttemptsBurnt, Defect, "power-loss", "attempts-burnt", "every power-on counts as a boot attempt, so quick power cycling ends in the old image or a halt", "rauc #490";
LieRevert, Defect, "power-loss", "lie-revert", "after an interrupted confirm the new image runs and `reverted` is reported", "embassy-boot 0.7 mark_booted, power-loss.md 3b";
SigUnchecked, Defect, "update", "sig-unchecked", "the signature must be there but is not verified", "hil-map T-UPD U02";
SigAbsentOk, Defect, "update", "sig-absent-ok", "an image without signature is accepted if its hash is right", "hil-map T-UPD U03";
HashFirstBlockOnly, Defect, "update", "hash-first-block-only", "only the first block is compared with the signed hash", "hil-map T-UPD U02; T-BOOT";
CrcNotSig, Defect, "update", "crc-not-sig", "the recomputed hash is enough, the signature is ignored", "hil-map T-UPD U05; hil-map 4 [8]";
KeyFromImage, Defect, "update", "key-from-image", "the signature is verified with the public key that the image brings", "hil-map T-UPD U04; hil-map 4 [10]";
AnyKey, Defect, "update", "any-key", "a development key is accepted beside the maker's", "hil-map T-UPD U04";
LengthTrusted, Defect, "update", "length-trusted", "lengths in the header are trusted: an image that does not fit or is cut short is not verified", "hil-map T-UPD U06";
OversizeOverruns, Defect, "update", "oversize-overruns", "an upload larger than the slot runs on into the settings", "hil-map T-UPD U06";
VersionStringCompare, Defect, "update", "version-string-compare", "versions are compared as text: 1.10 is older than 1.9", "hil-map T-UPD U09";
DowngradeOk, Defect, "update", "downgrade-ok", "older signed images are accepted", "hil-map 4 [9]";
SameVersionOk, Defect, "update", "same-version-ok", "the running version with other content is accepted", "hil-map T-UPD U09";
ModelUnchecked, Defect, "update", "model-unchecked", "the image of another model is accepted", "hil-map 4 [7]";
NoRevert, Defect, "update", "no-revert", "an unconfirmed image is started again for ever", "hil-map T-UPD U18; hil-map 4 [6]";
CounterLoweredOnRevert, Defect, "update", "counter-lowered-on-revert", "a revert sets the anti-rollback counter back", "hil-map T-UPD downgrade";
VerifyAtMarkOnly, Defect, "update", "verify-at-mark-only", "the loader trusts the pending flag and does not verify again", "hil-map T-UPD U12";
SecondUploadMixes, Defect, "update", "second-upload-mixes", "a second upload during the first mixes both images", "hil-map T-UPD U19";
RepeatChunkAppends, Defect, "update", "repeat-chunk-appends", "a repeated chunk is appended instead of replaced", "hil-map T-UPD U16";
HeaderUnprotected, Defect, "update", "header-unprotected", "the header is not covered by the hash", "hil-map T-UPD U02";
ProtTlvUnprotected, Defect, "update", "prot-tlv-unprotected", "the protected TLVs (counter, model) are not covered by the hash", "hil-map T-UPD U02";
VersionWraps, Defect, "update", "version-wraps", "the revision is compared in one byte: 256 counts as 0", "hil-map T-UPD U09";
ConfirmForgetsCounter, Defect, "update", "confirm-forgets-counter", "confirming does not raise the anti-rollback counter", "hil-map T-UPD downgrade";
EmptyUploadBricks, Defect, "update", "empty-upload-bricks", "an empty upload erases the running image", "hil-map T-UPD U06";
MarkAfterFailedVerify, Defect, "update", "mark-after-failed-verify", "a failed verification is reported, and the image is marked and installed all the same", "hil-map T-UPD U17";
SmpDowngrade, Defect, "update", "smp-downgrade", "the permanent (confirm) route skips the version policy", "hil-map T-UPD U08";
DebugOpen, Defect, "debug-port", "debug-open", "the debug port is open", "hil-map 4 [16]";
DebugLateLock, Defect, "debug-port", "debug-late-lock", "the port is open until the firmware locks it 30 ms after reset", "hil-map 4 [17]";
DebugOpenUnderReset, Defect, "debug-port", "debug-open-under-reset", "the lock is applied only when reset is released", "debug-port.md; hil-map 4 [17]";
DebugSecondAp, Defect, "debug-port", "debug-second-ap", "an open memory access port behind a hole in the numbering", "debug-port.md";
DebugPartial, Defect, "debug-port", "debug-partial", "core and RAM are open, flash faults", "hil-map 4 [17]";
DebugColdPlug, Defect, "debug-port", "debug-cold-plug", "the port is dead while the application runs and opens when SWCLK is held low at the release of reset", "debug-port.md section 5 (c)";
DebugResetByDebugger, Defect, "debug-port", "debug-reset-by-debugger", "for 30 ms after reset core and RAM are within reach, and after a reset that the debugger asks for there flash is too", "debug-port.md section 5 (d)";
DebugJtagOpen, Defect, "debug-port", "debug-jtag-open", "only SWD is locked, JTAG is not", "debug-port.md";
DebugDormantOpen, Defect, "debug-port", "debug-dormant-open", "SWD entered from the dormant state is not locked", "debug-port.md";
DebugFlashZero, Defect, "debug-port", "debug-flash-zero", "locked flash reads as zero while RAM and core are open", "debug-port.md";
LockLostOnUpdate, Defect, "debug-port", "lock-lost-on-update", "an installed update loses the debug lock", "hil-map T-DBG";
LockLostOnFailedUpdate, Defect, "debug-port", "lock-lost-on-failed-update", "a refused update loses the debug lock", "hil-map T-DBG";
LockLostOnRevert, Defect, "debug-port", "lock-lost-on-revert", "a revert loses the debug lock", "hil-map T-DBG";
LockLostOnWatchdog, Defect, "debug-port", "lock-lost-on-watchdog", "a watchdog reset loses the debug lock", "hil-map T-DBG";
UartShellOnEnter, Defect, "debug-port", "uart-shell-on-enter", "three empty lines give a shell without login", "hil-map 4 [14]";
LoaderPrompt, Defect, "debug-port", "loader-prompt", "any key in the loader's 100 ms window stops it at a prompt", "hil-map T-DBG; hil-map 4 [15]";
LoaderKeyedStop, Defect, "debug-port", "loader-keyed-stop", "the word `stop` sent early stops the loader at a prompt", "hil-map T-DBG";
PromptAfterFailedBoot, Defect, "debug-port", "prompt-after-failed-boot", "a rejected image leaves the loader at a prompt", "hil-map T-DBG";
DefaultLogin, Defect, "debug-port", "default-login", "admin/admin always works", "hil-map 4 [25]";
SupportAccount, Defect, "debug-port", "support-account", "an undocumented account support/support", "hil-map 4 [25]";
RootEmpty, Defect, "debug-port", "root-empty", "root with an empty secret", "hil-map 4 [14]";
BreakShell, Defect, "debug-port", "break-shell", "a serial BREAK or ctrl-c during start gives a shell", "hil-map T-DBG";
BootLogKey, Defect, "debug-port", "boot-log-key", "the boot log prints the Wi-Fi key", "hil-map T-DBG; hil-map 4 [16]";
ResetKeepsWifi, Defect, "reset", "reset-keeps-wifi", "factory reset keeps the Wi-Fi settings", "hil-map 4 [21]";
ResetMarksDeleted, Defect, "reset", "reset-marks-deleted", "factory reset only marks entries as deleted", "hil-map 4 [24]";
ResetKeepsUserdata, Defect, "reset", "reset-keeps-userdata", "factory reset keeps the user data", "hil-map 4 [20]";
ResetKeepsTokens, Defect, "reset", "reset-keeps-tokens", "factory reset keeps tokens alive", "hil-map 4 [22]";
ResetKeepsPassword, Defect, "reset", "reset-keeps-password", "factory reset keeps the password", "hil-map T-RST";
ResetDefaultPassword, Defect, "reset", "reset-default-password", "after factory reset admin/admin works", "hil-map T-RST; hil-map 4 [25]";
ResetLowersCounter, Defect, "reset", "reset-lowers-counter", "factory reset sets the anti-rollback counter back", "hil-map T-RST";
ResetUnlocksDebug, Defect, "reset", "reset-unlocks-debug", "factory reset opens the debug port", "hil-map T-RST";
ResetRestoresOldImage, Defect, "reset", "reset-restores-old-image", "factory reset brings the old image back", "hil-map T-RST; T-UPD downgrade";
ResetButtonHalf, Defect, "reset", "reset-button-half", "the button route leaves the user data", "hil-map T-RST";
ResetSaysDoneEarly, Defect, "reset", "reset-says-done-early", "factory reset says done and restarts before it has wiped", "hil-map T-RST";
ResetShortPress, Defect, "reset", "reset-short-press", "a press of one second resets", "hil-map T-RST";
ResetNeverResumes, Defect, "reset", "reset-never-resumes", "a factory reset cut short is never finished", "checks.md row 76";
WatchdogOpensShell, Defect, "reset", "watchdog-opens-shell", "after a watchdog reset the console is logged in", "hil-map T-RST";
BrownoutDefaults, Defect, "reset", "brownout-defaults", "a brown-out reset restores default settings", "hil-map 4 [3]";
ResetSmpNoToken, Defect, "reset", "reset-smp-no-token", "the SMP route of factory reset takes any token", "hil-map 4 [26]";
SecretPlain, Defect, "reset", "secret-plain", "the Wi-Fi key is stored in clear", "hil-map 4 [16]";
SecretOldCopy, Defect, "reset", "secret-old-copy", "an old plain copy of a changed secret stays in flash", "hil-map 4 [24]";
SecretBase64, Defect, "reset", "secret-base64", "secrets are only encoded in base64", "hil-map 4 [20]";
UserdataUtf16, Defect, "reset", "userdata-utf16", "a UTF-16 copy of the notes survives the reset", "hil-map 4 [20]";
SerialWritable, Defect, "reset", "serial-writable", "`set serial` is accepted", "checks.md, identity rows";
ResetKeepsReversed, Defect, "reset", "reset-keeps-reversed", "a byte-reversed copy of the name survives the reset", "hil-map 4 [20]";
BootUnverified, Defect, "update", "boot-unverified", "the running slot is not verified at boot", "hil-map T-BOOT";
BootVerifyFirstBlock, Defect, "update", "boot-verify-first-block", "only the first block of the running slot is verified at boot", "hil-map T-BOOT";
BootOldSignedOk, Defect, "update", "boot-old-signed-ok", "an older signed image written to the running slot boots", "hil-map 4 [9]; T-BOOT";
BootSilent, Defect, "update", "boot-silent", "a rejected image raises no alert", "hil-map T-BOOT";
TlsUnverifiedCloud, Defect, "communication", "tls-unverified-cloud", "the connection to the cloud takes any certificate", "hil-map 4 [10]; checks.md row 41";
TlsUnverifiedUpdates, Defect, "communication", "tls-unverified-updates", "the connection to the update server takes any certificate", "hil-map 4 [10]; checks.md row 23";
TlsNameUnchecked, Defect, "communication", "tls-name-unchecked", "the name in a certificate is not compared with the host", "checks.md row 41";
TlsTimeUnchecked, Defect, "communication", "tls-time-unchecked", "dates in certificates are not looked at", "checks.md row 41";
TlsLeafAsCa, Defect, "communication", "tls-leaf-as-ca", "whether a certificate that signs is a CA is not looked at", "CVE-2002-0862; hil-map T-TLS";
TlsUsageUnchecked, Defect, "communication", "tls-usage-unchecked", "a certificate that is not for servers is taken", "hil-map T-TLS";
TlsWeakOk, Defect, "communication", "tls-weak-ok", "1024 bit keys and SHA-1 signatures are taken", "hil-map T-TLS";
TlsCnOk, Defect, "communication", "tls-cn-ok", "a host name in the subject alone is enough", "hil-map T-TLS";
TelnetOpen, Defect, "exposure", "telnet-open", "a telnet port is open and in no declaration", "hil-map 4 [25]; checks.md row 50";
FtpOn40021, Defect, "exposure", "ftp-on-40021", "a file service on a high port comes up with the first owner", "checks.md row 1";
Udp9999, Defect, "exposure", "udp-9999", "a UDP port answers the vendor's tool and everybody else", "checks.md row 50";
SetupPortStays, Defect, "exposure", "setup-port-stays", "the port of the set-up assistant is never closed", "hil-map T-SCAN; checks.md row 58";
RedirectGone, Defect, "exposure", "redirect-gone", "a service that is declared enabled is not there once there is an owner", "checks.md row 51";
TelnetAtBoot, Defect, "exposure", "telnet-at-boot", "telnet is open for the first 30 s after each start", "checks.md row 50; hil-map T-SCAN";
RecoveryPortOffline, Defect, "exposure", "recovery-port-offline", "a recovery port opens when the cloud cannot be reached", "hil-map T-SCAN, set-up AP reappears when the network is lost";
TelnetAfterReset, Defect, "exposure", "telnet-after-reset", "factory reset switches telnet on", "checks.md row 52";
VersionInHeader, Defect, "exposure", "version-in-header", "every answer of the local interface names the firmware version", "checks.md row 53";
SerialInMdns, Defect, "exposure", "serial-in-mdns", "the announcement carries the serial number", "checks.md row 53";
SsidInMdns, Defect, "exposure", "ssid-in-mdns", "the announcement carries the name of the owner's network", "checks.md row 53";
NameOnErrorPage, Defect, "exposure", "name-on-error-page", "error pages greet with the name that the owner gave", "hil-map 5.6-2";
BackupOpen, Defect, "exposure", "backup-open", "a backup of the settings can be had without a login", "hil-map 4 [26] CVE-2017-7921";
HttpLengthOverflow, Defect, "input", "http-length-overflow", "a Content-Length of 2^31 or more wraps and overruns the buffer", "checks.md row 82";
HttpHeaderOverflow, Defect, "input", "http-header-overflow", "more than 60 header fields overrun a table", "checks.md row 82";
HttpTraversal, Defect, "input", "http-traversal", "a path with dots that are encoded leaves the tree and reads the unit's plate", "checks.md row 33; hil-map 4 [26]";
JsonNesting, Defect, "input", "json-nesting", "deeply nested JSON overruns the stack", "checks.md row 82";
JsonNull, Defect, "input", "json-null", "a null where text is expected is followed", "hil-map 4 [6]";
NameReachesShell, Defect, "input", "name-reaches-shell", "the name of the device is handed to a shell", "hil-map 4 [26] CVE-2021-36260; checks.md row 86";
NamePoisonsStart, Defect, "input", "name-poisons-start", "a name with a percent sign is stored, and every start from then on fails in formatting it", "hil-map 4 [6]";
ConsoleLineOverflow, Defect, "input", "console-line-overflow", "a line that is too long smashes the stack", "checks.md row 89";
ConsoleFormatString, Defect, "input", "console-format-string", "a line with %n is used as a format", "checks.md row 89";
MqttLongLength, Defect, "input", "mqtt-long-length", "a remaining length of five bytes runs past its buffer", "checks.md row 83";
MqttEmptyTopic, Defect, "input", "mqtt-empty-topic", "a PUBLISH without topic is followed to address 0", "checks.md row 83";
MqttFloodRestarts, Defect, "input", "mqtt-flood-restarts", "messages of the broker are queued without bound, so that a flood of them ends in a restart", "checks.md row 83; hil-map T-MQTT";
CloudJsonList, Defect, "input", "cloud-json-list", "an empty list in a command restarts the device", "hil-map 4 [6]";
SmpLengthTrusted, Defect, "input", "smp-length-trusted", "the length in the SMP header is trusted over the datagram's", "checks.md row 84";
SmpCborDepth, Defect, "input", "smp-cbor-depth", "nested CBOR is read recursively without a bound", "checks.md row 84";
HiddenUpgrade, Defect, "input", "hidden-upgrade", "POST /cgi-bin/upgrade takes an image and is in no declaration", "checks.md row 26";
DebugConsole, Defect, "input", "debug-console", "GET /debug/console runs commands and is in no declaration", "checks.md row 88";
WebNoLock, Defect, "credentials", "web-no-lock", "wrong secrets are counted by the page in the browser only", "checks.md row 7; hil-map T-BF";
WebLockShort, Defect, "credentials", "web-lock-short", "logins lock for 50 s and not for the declared 300 s", "checks.md row 7";
WebRightSecretWhileLocked, Defect, "credentials", "web-right-secret-while-locked", "the right secret is taken while logins are locked", "checks.md row 7";
WebFiftyTries, Defect, "credentials", "web-fifty-tries", "logins lock after 50 wrong secrets and not after the declared 5", "checks.md row 7";
WebCountInRam, Defect, "credentials", "web-count-in-ram", "the count of wrong secrets is lost with power", "checks.md row 8; hil-map T-BF";
WebCountPerAddress, Defect, "credentials", "web-count-per-address", "wrong secrets are counted for each source address", "checks.md row 8; hil-map T-BF";
WebCountPerHeader, Defect, "credentials", "web-count-per-header", "the address in X-Forwarded-For has a count of its own", "checks.md row 8";
WebLockLostWithPower, Defect, "credentials", "web-lock-lost-with-power", "a power cut ends the lock", "checks.md row 8; hil-map T-BF";
WebCountRaces, Defect, "credentials", "web-count-races", "guesses at the same time are counted once", "checks.md row 9";
WebChangeInRam, Defect, "credentials", "web-change-in-ram", "a changed secret is acknowledged and not stored", "checks.md row 6";
WebOldSecretStays, Defect, "credentials", "web-old-secret-stays", "the old secret is taken until the next start", "checks.md row 6";
WebSessionsSurviveChange, Defect, "credentials", "web-sessions-survive-change", "sessions go on after the secret was changed", "hil-map 5.1-4";
SetUpSkippable, Defect, "credentials", "set-up-skippable", "before set-up every function answers without a login", "checks.md row 2; hil-map 5.1-1";
LabelLogsInBeforeSetUp, Defect, "credentials", "label-logs-in-before-set-up", "the label's secret logs in without a set-up", "checks.md row 2";
SetUpTakesAnySecret, Defect, "credentials", "set-up-takes-any-secret", "set-up takes an empty secret and the label's", "checks.md row 2; hil-map 5.1-1";
WebSupportAccount, Defect, "credentials", "web-support-account", "support/support logs in on the local interface", "hil-map 4 [25]; checks.md row 3";
LabelSecretStays, Defect, "credentials", "label-secret-stays", "the label's secret goes on logging in after set-up", "checks.md row 3";
LoginOverPlainHttp, Defect, "credentials", "login-over-plain-http", "the login is taken over plain HTTP too", "checks.md row 5";
SessionIsCounter, Defect, "credentials", "session-is-counter", "sessions are numbered", "hil-map 5.1-3";
NotesWithoutLogin, Defect, "credentials", "notes-without-login", "one page has no guard", "checks.md row 47; hil-map 4 [26]";
OnlyGetGuarded, Defect, "credentials", "only-get-guarded", "only GET wants a session", "checks.md row 47";
TrailingSlashOpen, Defect, "credentials", "trailing-slash-open", "a slash at the end of the path leads past the guard", "checks.md row 47";
GuestMayChange, Defect, "credentials", "guest-may-change", "a guest's session may do what the owner's may", "checks.md rows 47, 77";
SessionSurvivesLogout, Defect, "credentials", "session-survives-logout", "a session that was logged out goes on", "checks.md row 47";
AnySession, Defect, "credentials", "any-session", "anything that looks like a session is one", "hil-map 4 [26] CVE-2017-7921";
NetworkKeyOpenAtStart, Defect, "credentials", "network-key-open-at-start", "the network key can be set without a login for 60 s after each start", "checks.md row 48";
HelloOffersTls10, Defect, "communication", "hello-offers-tls10", "every hello offers TLS 1.0 too", "checks.md row 39";
HelloUndeclaredSuite, Defect, "communication", "hello-undeclared-suite", "every hello offers a CBC suite that is not declared", "checks.md row 39";
HelloWithoutName, Defect, "communication", "hello-without-name", "the hello does not name the server", "checks.md row 39";
ServerTakesTls10, Defect, "communication", "server-takes-tls10", "the local interface takes TLS 1.0", "checks.md row 40";
ServerUndeclaredSuite, Defect, "communication", "server-undeclared-suite", "the local interface takes a CBC suite that is not declared", "checks.md row 40";
PlainMqttAfterFailures, Defect, "communication", "plain-mqtt-after-failures", "after three failures the cloud is tried on port 1883 without TLS", "checks.md row 42";
PlainAfterFailures, Defect, "communication", "plain-after-failures", "after three failures the cloud is tried without TLS on the same port", "checks.md row 42";
Tls10AfterFailures, Defect, "communication", "tls10-after-failures", "after three failures the hello offers TLS 1.0", "checks.md row 42";
SsidInQuery, Defect, "communication", "ssid-in-query", "the name of the owner's network is part of a name query", "checks.md row 43";
KeyInUrl, Defect, "communication", "key-in-url", "the network key stands in the URL of the update query", "checks.md row 43; hil-map 4 [11]";
SecretAsMqttUser, Defect, "communication", "secret-as-mqtt-user", "the label's secret is the MQTT user name", "checks.md row 43; hil-map T-MQTT";
UndeclaredHost, Defect, "communication", "undeclared-host", "a library reports to a host that nobody declared", "checks.md row 49";
HangsWithoutNames, Defect, "outage", "hangs-without-names", "the main loop waits for the resolver", "checks.md row 64";
RestartsWithoutCloud, Defect, "outage", "restarts-without-cloud", "the device restarts when its cloud cannot be reached", "hil-map 5.9-1, watchdog loop offline";
EventLost, Defect, "outage", "event-lost", "what happened during an outage is forgotten at the next connection", "checks.md row 64";
EventTwice, Defect, "outage", "event-twice", "what happened is told twice", "checks.md row 64";
RetryEverySecond, Defect, "outage", "retry-every-second", "an unreachable cloud is tried every second", "checks.md row 66; hil-map T-NETLOSS";
RetryWithoutChance, Defect, "outage", "retry-without-chance", "pauses double without chance, so that a fleet comes in step", "checks.md row 66";
RetryStormOnRefusal, Defect, "outage", "retry-storm-on-refusal", "a CONNECT that is refused is repeated at once", "checks.md row 66";
HalfOpenForever, Defect, "outage", "half-open-forever", "an answer of the service that does not come is not missed: a connection that is half-open is kept for ever", "MQTT 3.1.1 section 3.1.2.10; checks.md row 64";
LatencyBlocksLocal, Defect, "outage", "latency-blocks-local", "while an answer of the service is awaited nothing else is done", "checks.md row 64, loss and latency";
BrokenHandshakeFinal, Defect, "outage", "broken-handshake-final", "after three handshakes that broke the service is not tried again until the next start", "checks.md rows 42 and 64";
TelemetryWithoutConsent, Defect, "consent", "telemetry-without-consent", "telemetry is sent from the first connection on, before anybody owns the device", "checks.md row 69; hil-map 6.2";
ConsentNoIgnored, Defect, "consent", "consent-no-ignored", "the answer no is not looked at", "checks.md row 69";
WithdrawalInRam, Defect, "consent", "withdrawal-in-ram", "a withdrawal is lost with power", "checks.md row 70; hil-map 6.3";
WithdrawalIgnored, Defect, "consent", "withdrawal-ignored", "a withdrawal takes effect at the next start only", "checks.md row 70";
ConsentWithoutTime, Defect, "consent", "consent-without-time", "the record of the decision has no time", "checks.md row 71";
TelemetryNeighbours, Defect, "consent", "telemetry-neighbours", "telemetry holds the names of neighbouring networks", "checks.md row 72; hil-map 6.4";
NetSumOnly, Defect, "update", "net-sum-only", "an image from the server is taken on the word of the manifest's sum, and the loader trusts what was marked", "hil-map T-UPD U02; checks.md row 15";
NetVersionWord, Defect, "update", "net-version-word", "the version of the manifest, not of the image, decides whether an image from the server is newer", "checks.md row 19";
NetFetchesTwice, Defect, "update", "net-fetches-twice", "the image is verified, then fetched again for the installation", "hil-map T-UPD U12; checks.md row 22";
NetStallHangs, Defect, "update", "net-stall-hangs", "a server that stops in the middle of an image is waited for until somebody cuts the supply", "checks.md row 25";
NetStopsAfterError, Defect, "update", "net-stops-after-error", "after an error of the server no update is looked for any more", "hil-map 5.3-4, 5.3-5";
NetJoinsWrongHalves, Defect, "update", "net-joins-wrong-halves", "a piece that was cut off is kept as if it were whole, and the image that was joined so is installed", "checks.md row 25";
NetPlainRedirect, Defect, "update", "net-plain-redirect", "a redirect from the update server to plain HTTP is followed", "checks.md row 23";
NetUntrustedLater, Defect, "update", "net-untrusted-later", "when the update server's certificate was refused three times it is taken all the same", "checks.md row 23; hil-map T-TLS";
AutoOffIgnored, Defect, "update", "auto-off-ignored", "the switch for automatic updates changes what is shown and nothing else", "checks.md row 27";
AutoOffInRam, Defect, "update", "auto-off-in-ram", "automatic updates are on again after a power cut", "checks.md row 27";
AutoOnAfterUpdate, Defect, "update", "auto-on-after-update", "an update switches automatic updates on again", "hil-map 5.3-6";
AutoNever, Defect, "update", "auto-never", "with automatic updates on, what was found waits for somebody to install it", "hil-map 5.3-4";
LooksOnce, Defect, "update", "looks-once", "updates are looked for once after each start and never again", "hil-map 5.3-5";
NoticeOffIgnored, Defect, "update", "notice-off-ignored", "the switch for notices of updates has no effect", "checks.md row 30";
NoticeForgotten, Defect, "update", "notice-forgotten", "notices of updates are off after set-up", "checks.md row 30; hil-map 5.3-6";
SessionSurvivesReset, Defect, "reset", "session-survives-reset", "a session of the local interface from before a factory reset is still taken", "checks.md row 75";
GuestSurvivesReset, Defect, "reset", "guest-survives-reset", "the guest's secret outlives the factory reset", "checks.md row 75";
ResetWebHalf, Defect, "reset", "reset-web-half", "the reset of the local interface leaves the user's data", "hil-map 5.11-1";
GuestMayReset, Defect, "credentials", "guest-may-reset", "a guest may reset the device", "checks.md row 77";
DeleteSaidDone, Defect, "reset", "delete-said-done", "the deletion at the service is called done before the service was asked", "checks.md rows 78, 79";
DeleteDropped, Defect, "reset", "delete-dropped", "a deletion at the service that was asked for while the service was away is forgotten, and called done", "checks.md row 78";
DecisionNotAsked, Defect, "choices", "decision-not-asked", "set-up goes on without an answer about automatic updates", "checks.md row 80";
DecisionNoIgnored, Defect, "choices", "decision-no-ignored", "the answer `no` about automatic updates is stored as yes", "checks.md row 28";
DecisionUndone, Defect, "choices", "decision-undone", "notices of updates are on again after a power cut", "checks.md row 80";
SecurityAlwaysOk, Defect, "choices", "security-always-ok", "the device's own security check finds nothing, whatever is switched off", "checks.md row 81";
BasicAuthPage, Defect, "credentials", "basic-auth-page", "a maintenance page of the local interface asks for a login of its own", "checks.md row 1";
ModelSdkName, Defect, "exposure", "model-sdk-name", "the device calls itself by the name of the development kit", "checks.md row 13";
OlderLibrary, Defect, "exposure", "older-library", "the local interface names an older TLS library than the one that was reviewed", "checks.md row 46";
BootAsksTftp, Defect, "update", "boot-asks-tftp", "at each start an image is asked for by TFTP", "checks.md row 26";
FailedBootCalls, Defect, "update", "failed-boot-calls", "the loader calls a host of its own when verification fails", "checks.md row 63";
LabelIsMac, Defect, "fleet", "label-is-mac", "the label's password is the unit's network address, turned round", "checks.md row 4";
LabelFromSerial, Defect, "fleet", "label-from-serial", "the label's password is a digest of the serial number, without a key, cut", "checks.md row 4";
LabelCounts, Defect, "fleet", "label-counts", "the label's password is one more than the last unit's", "checks.md row 4";
LabelRepeats, Defect, "fleet", "label-repeats", "every sixteenth unit has the same label's password", "checks.md row 4";
RootKeyShared, Defect, "fleet", "root-key-shared", "all units have the same root key, and all keys that follow from it", "checks.md row 36";
IdentityShared, Defect, "fleet", "identity-shared", "all units show the cloud the same key", "hil-map T-TLS; checks.md row 36";
FirstTogether, Defect, "fleet", "first-together", "all units reach for the cloud in the same second after power-on", "checks.md row 67";
RetrySeedShared, Defect, "fleet", "retry-seed-shared", "the chance in the pauses is the same in all units", "checks.md row 66";
LooksTogether, Defect, "fleet", "looks-together", "all units look for updates in the same second after start", "checks.md row 29";
BuiltInTokenStays, Defect, "credentials", "built-in-token-stays", "the token that is built into the firmware is taken after set-up too", "checks.md row 38; hil-map 4 [26]";
BuiltInTokenReturns, Defect, "credentials", "built-in-token-returns", "the token of the unit's own is kept in RAM: after a restart the built-in one is taken again", "checks.md row 38";
HistoryForEver, Defect, "consent", "history-for-ever", "records that are declared to be kept for a day are never removed", "checks.md row 73; hil-map 6.6";
HistoryRenewed, Defect, "consent", "history-renewed", "the life of a record begins anew whenever somebody looks at it", "checks.md row 73";
CloudPasswordOnly, Defect, "credentials", "cloud-password-only", "the device logs in to its cloud with a user name and a password, and shows no certificate", "checks.md row 10; hil-map T-MQTT";
CloudPasswordAfterRefusal, Defect, "credentials", "cloud-password-after-refusal", "after three refusals of the cloud the device tries a user name and a password without its certificate", "checks.md row 10";
CoapNosec, Defect, "communication", "coap-nosec", "CoAP without DTLS on port 5683 tells what the local interface guards with a login", "checks.md row 45; RFC 7252 section 9";
CoapHidden, Defect, "communication", "coap-hidden", "a CoAP resource that discovery does not list tells the name of the owner's network", "checks.md row 45";
MicrophoneListed, Defect, "exposure", "microphone-listed", "the device's own list of sensors names a microphone that no document knows", "checks.md row 68";
PresenceInReport, Defect, "exposure", "presence-in-report", "the state that goes to the cloud tells whether somebody is in the room", "checks.md row 68";
KeyOverPlainHttp, Defect, "communication", "key-over-plain-http", "the key of the owner's network is taken over plain HTTP too", "checks.md row 44";
MainNeedsCloud, Defect, "outage", "main-needs-cloud", "heating cannot be changed while the cloud is away", "checks.md row 31";
SetUpNeedsFirst, Defect, "outage", "set-up-needs-first", "a unit that takes the place of another goes through set-up and never reaches its service", "checks.md row 31";
LateRefusal, Twin, "update", "late-refusal", "no early verification when an update is marked; the loader refuses it at boot", "checks.md, traps";
SlowCopy, Twin, "power-loss", "slow-copy", "the swap takes ten times longer, within the declared recovery time", "checks.md, traps";
SizeRefusedEarly, Twin, "update", "size-refused-early", "an upload that announces too many bytes is refused before any data", "checks.md, traps";
CryptoErase, Twin, "reset", "crypto-erase", "everything is sealed and factory reset destroys the salt only", "checks.md, traps";
DebugSilent, Twin, "debug-port", "debug-silent", "the debug port is silent when locked, also under reset", "debug-port.md";
DebugColdPlugAnswers, Twin, "debug-port", "debug-cold-plug-answers", "the port is dead while the application runs; with SWCLK low at the release of reset it says what it is and lets nothing through", "debug-port.md section 11, SAM D";
DebugApHidden, Twin, "debug-port", "debug-ap-hidden", "locked, the memory access port is not there at all; the vendor's is", "debug-port.md section 11, LPC55";
DebugPowerUpRefused, Twin, "debug-port", "debug-power-up-refused", "locked, the debug port says what it is and never acknowledges power-up", "debug-port.md section 7";
CountdownIgnored, Twin, "debug-port", "countdown-ignored", "the loader shows a countdown and ignores input", "checks.md, traps";
MaskedKeyLog, Twin, "debug-port", "masked-key-log", "the boot log shows the Wi-Fi key masked but for its last two characters", "checks.md, traps";
NoisyLog, Twin, "debug-port", "noisy-log", "the boot log holds XML ends, escapes, NUL, invalid UTF-8 and a very long line", "checks.md, traps";
PasswordHashed, Twin, "reset", "password-hashed", "the password is stored as a salted hash, unsealed", "checks.md, traps";
SlotFallback, Twin, "update", "slot-fallback", "an intact copy in the other slot is started when the running one is damaged, with an alert", "checks.md, traps";
SilentBadCommand, Twin, "reset", "silent-bad-command", "the console ignores unknown input without an error", "checks.md, traps";
SlowBoot, Twin, "power-loss", "slow-boot", "ready only after 700 ms; 3 s are declared", "checks.md, traps";
ClosesStrangers, Twin, "exposure", "closes-strangers", "a connection without a request is ended after a second", "hil-map T-SCAN";
WebLockLonger, Twin, "credentials", "web-lock-longer", "logins lock for half as long again as declared", "checks.md row 7, traps";
WebChangeEndsAll, Twin, "credentials", "web-change-ends-all", "a change of the secret ends the session that asked for it, too", "checks.md row 6, traps";
HelloOtherOrder, Twin, "communication", "hello-other-order", "suites are offered in another order than they are declared", "checks.md row 39, traps";
RetrySlower, Twin, "outage", "retry-slower", "pauses are half as long again as declared", "checks.md row 66, traps";
EventRepeatedUntilAcknowledged, Twin, "outage", "event-repeated-until-acknowledged", "the state is told again with every connection, beside the news", "checks.md row 64, traps";
NetRetryNextDay, Twin, "update", "net-retry-next-day", "a fetch that was cut off is given up and tried again the next day", "checks.md row 25";
NetSmallPieces, Twin, "update", "net-small-pieces", "images are fetched in pieces of 512 bytes, each on a connection of its own", "checks.md row 25";
NetBeginsAnew, Twin, "update", "net-begins-anew", "a fetch that was cut off begins again at the first byte", "checks.md row 25";
DeleteLater, Twin, "reset", "delete-later", "the deletion at the service is asked for ten minutes later, and called queued until then", "checks.md row 78";
WithdrawalMessage, Twin, "consent", "withdrawal-message", "the service is told that consent was withdrawn", "checks.md row 70";
LockStoredFromSecond, Twin, "credentials", "lock-stored-from-second", "wrong logins are counted in flash from the second one on", "checks.md row 8";
ClosesAfterAnswer, Twin, "credentials", "closes-after-answer", "the local interface ends the connection after each answer", "RFC 9112 section 9.6";
AnswersChunked, Twin, "credentials", "answers-chunked", "answers of the local interface come in chunks", "RFC 9112 section 7.1";
RedirectPermanent, Twin, "exposure", "redirect-permanent", "plain HTTP is answered with 308 instead of 301", "RFC 9110 section 15.4.9; checks.md row 5";
WebSlowStart, Twin, "exposure", "web-slow-start", "the local interface comes up three seconds after the link", "checks.md row 50";
MdnsOften, Twin, "exposure", "mdns-often", "the announcement is repeated every two minutes", "RFC 6762 section 8.3; checks.md row 53";
NetLog, Twin, "input", "net-log", "the console tells of every connection of the local interface", "checks.md row 34";
MqttFloodDisconnects, Twin, "input", "mqtt-flood-disconnects", "a broker that sends more than a hundred messages in a second is left, and tried again after a pause", "checks.md row 83";
SessionShort, Twin, "credentials", "session-short", "a session ends after half a minute without a request", "checks.md row 47";
TimeAskedTwice, Twin, "communication", "time-asked-twice", "the time server is asked a second time a minute later", "RFC 5905; checks.md row 69";
ManifestTwice, Twin, "update", "manifest-twice", "the manifest is fetched again before the image", "checks.md row 22";
EventAfterPause, Twin, "outage", "event-after-pause", "what waits for the service is sent ten seconds after the connection is back", "checks.md row 64";
PingSeldom, Twin, "outage", "ping-seldom", "the service is pinged every four minutes, so that a half-open connection is noticed late", "MQTT 3.1.1 section 3.1.2.10";
SecurityTellsMore, Twin, "choices", "security-tells-more", "the device's own security check also counts what is fine", "checks.md row 81";
LibraryNamed, Twin, "exposure", "library-named", "the local interface names the library that was reviewed, and its version", "checks.md row 46";
LabelKeyed, Twin, "fleet", "label-keyed", "the label's password is derived from the serial number with a secret key", "checks.md row 4";
FirstLater, Twin, "fleet", "first-later", "all units wait five seconds more before their first attempt", "checks.md row 67";
FrontPageForAll, Twin, "input", "front-page-for-all", "every unknown path is answered with the front page", "checks.md row 11, soft 404";
BuiltInRefusedOtherwise, Twin, "credentials", "built-in-refused-otherwise", "after set-up the built-in token is answered with 403 and the reason", "checks.md row 38";
HistoryHalfDay, Twin, "consent", "history-half-day", "records are removed after half of the declared life", "checks.md row 73";
CloudTokenAsPassword, Twin, "credentials", "cloud-token-as-password", "beside the certificate a random token of the unit stands in the password field, as declared", "checks.md row 10, traps";
CoapDiscovery, Twin, "communication", "coap-discovery", "CoAP on port 5683 answers the declared discovery resource and refuses everything else", "checks.md row 45, traps";
FootprintNamed, Twin, "exposure", "footprint-named", "the device's own list of sensors names a place on the board that is not populated, as declared", "checks.md row 68, traps";
IsolatedSaysSo, Twin, "outage", "isolated-says-so", "without its cloud the device takes a change and says that the cloud learns of it later", "checks.md row 31";
PlainErrorPage, Twin, "exposure", "plain-error-page", "errors are plain text with the path that was asked for, escaped", "checks.md, traps";}

impl Defect {
    /// Its entry in [`ALL`].
    pub fn entry(self) -> &'static Entry {
        &ALL[self as usize]
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not in [`ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the emulated device knows no defect or twin `{found}`; it knows: {}", names())]
pub struct UnknownDefect {
    /// What was asked for.
    pub found: String,
}

fn names() -> String {
    ALL.iter().map(|e| e.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for Defect {
    type Err = UnknownDefect;
    fn from_str(s: &str) -> Result<Self, UnknownDefect> {
        ALL.iter().find(|e| e.name == s).map(|e| e.id).ok_or_else(|| UnknownDefect { found: s.to_owned() })
    }
}

/// A set of defects and twins that one device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Defects([u64; WORDS]);

/// Words of the set.
const WORDS: usize = 5;
const _: () = assert!(ALL.len() <= 64 * WORDS, "every entry has a bit");

impl Defects {
    /// The conforming device.
    pub const NONE: Defects = Defects([0; WORDS]);
    /// Reads names; the error names what would be valid.
    pub fn parse<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, UnknownDefect> {
        names.into_iter().map(|n| n.as_ref().parse()).collect()
    }
    /// Whether the device has it.
    pub fn has(self, d: Defect) -> bool {
        self.0[d as usize / 64] >> (d as usize % 64) & 1 == 1
    }
    /// Whether the device is the conforming one.
    pub fn is_empty(self) -> bool {
        self.0 == [0; WORDS]
    }
    /// What the device has, in list order.
    pub fn iter(self) -> impl Iterator<Item = Defect> {
        ALL.iter().map(|e| e.id).filter(move |d| self.has(*d))
    }
}

impl FromIterator<Defect> for Defects {
    fn from_iter<I: IntoIterator<Item = Defect>>(defects: I) -> Self {
        let mut set = [0; WORDS];
        defects.into_iter().for_each(|d| set[d as usize / 64] |= 1 << (d as usize % 64));
        Defects(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_names_are_unique() {
        for (i, e) in ALL.iter().enumerate() {
            assert_eq!(e.name.parse(), Ok(e.id));
            assert_eq!(e.id as usize, i);
            assert!(!e.what.is_empty() && !e.source.is_empty());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_valid_ones() {
        let error = Defects::parse(["no-revert", "no-rewind"]).unwrap_err().to_string();
        assert!(error.contains("`no-rewind`") && error.contains("no-revert, "), "{error}");
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set = Defects::parse(["slow-boot", "swap-in-place"]).unwrap();
        assert_eq!(set.iter().map(Defect::name).collect::<Vec<_>>(), ["swap-in-place", "slow-boot"]);
        assert!(Defects::NONE.is_empty());
    }
}
