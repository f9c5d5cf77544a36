//! A binding's own program: parameters in as JSON on standard input, one JSON object out; no shell.

use crate::bench::Did;
use crate::text::{escape, fill_in, value};
use crate::trouble::Trouble;
use proofbench_channel::Cancel;
use proofbench_model::bind::CommandAction;
use serde::Deserialize;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Most that is read of a program's answer.
const ANSWER_MOST: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(10);

/// What the program says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    done: bool,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    text: String,
}

/// Runs it under its deadline, in real time. A program that is not there is [`Trouble::Tool`]; one that hangs is killed and the answer is silence.
pub(crate) fn run(action: &CommandAction, params: &[(&str, &str)], cancel: &Cancel) -> Result<Did, Trouble> {
    let mut argv = Vec::with_capacity(action.argv.len());
    for text in &action.argv {
        argv.push(fill_in(text, params).map_err(|name| Trouble::IxitAmbiguous(format!("`{text}` asks for `{name}`, which nobody gives")))?);
    }
    let Some((program, rest)) = argv.split_first() else {
        return Err(Trouble::IxitMissing("a program in `argv` of a command binding".to_owned()));
    };
    let failed = |what: &str, e: std::io::Error| Trouble::RigFault(format!("{what} `{program}`: {e}"));
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| if e.kind() == std::io::ErrorKind::NotFound { Trouble::Tool(program.clone()) } else { failed("start", e) })?;
    if let Some(mut stdin) = child.stdin.take() {
        let map: serde_json::Map<String, serde_json::Value> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
        // A program that does not read its parameters closes the pipe: that is its right.
        let _ = stdin.write_all(serde_json::Value::Object(map).to_string().as_bytes());
    }
    // Reading on a thread of its own: a full pipe must not keep the program from ending, nor a hanging program the deadline.
    let reader = child.stdout.take().map(|out| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = out.take(ANSWER_MOST).read_to_end(&mut bytes);
            bytes
        })
    });
    let end = Instant::now() + Duration::from_millis(action.within_ms);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| failed("wait for", e))? {
            break status;
        }
        if Instant::now() >= end || cancel.is_cancelled() {
            let _ = child.kill();
            let _ = child.wait();
            return if cancel.is_cancelled() { Err(Trouble::Cancelled) } else { Ok(Did::Silent) };
        }
        std::thread::sleep(POLL);
    };
    let bytes = reader.and_then(|r| r.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(Trouble::RigFault(format!("`{program}` ended with {status}")));
    }
    let reply: Reply =
        serde_json::from_slice(&bytes).map_err(|e| Trouble::RigFault(format!("`{program}` answered no object: {e}: {}", escape(&bytes))))?;
    let text = value(reply.text.as_bytes());
    Ok(if reply.done { Did::Done { value: reply.value.map(|v| value(v.as_bytes())), text } } else { Did::Refused { text } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn sh(script: &str, within_ms: u64) -> CommandAction {
        CommandAction { argv: vec!["sh".into(), "-c".into(), script.into()], within_ms }
    }

    #[rstest]
    #[case("cat >/dev/null; echo '{\"done\":true,\"value\":\"7\"}'", Did::Done { value: Some("7".into()), text: String::new() })]
    #[case("echo '{\"done\":false,\"text\":\"no\"}'", Did::Refused { text: "no".into() })]
    #[case("read x; echo $x | grep -q '\"name\":\"v\"' && echo '{\"done\":true}'", Did::Done { value: None, text: String::new() })]
    fn answers_are_data(#[case] script: &str, #[case] want: Did) {
        assert_eq!(run(&sh(script, 5000), &[("name", "v")], &Cancel::new()).unwrap(), want);
    }

    #[test]
    fn a_program_that_hangs_is_silence() {
        assert_eq!(run(&sh("exec sleep 100", 50), &[], &Cancel::new()).unwrap(), Did::Silent);
    }

    #[rstest]
    #[case(sh("exit 3", 5000), "ended with")]
    #[case(sh("echo nonsense", 5000), "answered no object")]
    #[case(CommandAction { argv: vec!["proofbench-no-such-program".into()], within_ms: 10 }, "a program is missing")]
    #[case(CommandAction { argv: vec![], within_ms: 10 }, "the dossier does not say")]
    fn what_is_no_answer_is_trouble(#[case] action: CommandAction, #[case] text: &str) {
        let e = run(&action, &[], &Cancel::new()).unwrap_err().to_string();
        assert!(e.contains(text), "{e}");
    }
}
