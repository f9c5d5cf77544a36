//! Prompts that nobody logged in to, and keys that may bring them up.

use proofbench_model::bind::Pattern;
use proofbench_runner::bench::Found;
use proofbench_runner::{Bench, Trouble};
use std::time::Duration;

/// A line that is nothing but a prompt, or the same one several times: a short word and one of `> # $ %`. Boot loaders and shells of every product we
/// know ask like that.
const PROMPT: &str = r"^(?:\s*[\w.:@~/()\[\]+-]{0,40} ?(?:=>|[>#$%]) ?)+$";
/// Answers of shells and loaders to a word they do not know.
const ANSWERS: &str = r"(?i)unknown command|command not found|not found|try 'help'|^commands:|usage:";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(1500);

/// What to look for.
pub(super) struct Prompts {
    shell: Option<Pattern>,
    any: Pattern,
    answers: Pattern,
    /// The device's own login prompts: input that leads there leads nowhere else.
    login: Vec<Pattern>,
}

/// A prompt that answered.
pub(super) struct Access {
    /// The prompt's line.
    pub prompt: String,
    /// What came back to an empty line and to a word.
    pub answer: String,
}

impl Prompts {
    /// The declared prompt of a logged-in session, and what any product's prompt looks like.
    pub fn new(bench: &Bench) -> Self {
        let login = bench.bind().login.as_ref();
        Self {
            shell: login.map(|l| l.shell_prompt.clone()),
            any: Pattern(PROMPT.to_owned()),
            answers: Pattern(ANSWERS.to_owned()),
            login: login.map(|l| vec![l.user_prompt.clone(), l.secret_prompt.clone()]).unwrap_or_default(),
        }
    }

    /// Waits for a prompt. A login prompt is none.
    pub fn appears(&self, bench: &mut Bench, within: Duration) -> Result<Option<Found>, Trouble> {
        let mut patterns: Vec<&Pattern> = self.login.iter().collect();
        let logins = patterns.len();
        patterns.extend(&self.shell);
        patterns.push(&self.any);
        let end = bench.now() + within;
        loop {
            let left = end.since(bench.now());
            match bench.expect_any(&patterns, left)? {
                Some((n, found)) if n >= logins => return Ok(Some(found)),
                Some(_) if bench.now() < end => {}
                _ => return Ok(None),
            }
        }
    }

    /// Whether a prompt that appeared takes input: an empty line brings it up again, or a word is answered. A text that only looks like a prompt, or a
    /// countdown that ignores input, does neither.
    pub fn answers(&self, bench: &mut Bench, prompt: &Found) -> Result<Option<Access>, Trouble> {
        let mut patterns: Vec<&Pattern> = vec![&self.answers];
        patterns.extend(&self.shell);
        patterns.push(&self.any);
        for stimulus in ["", "help"] {
            bench.drain()?;
            bench.send_line(stimulus)?;
            if let Some((_, found)) = bench.expect_any(&patterns, ANSWER)? {
                let mut answer = found.before.join(" / ");
                if !answer.is_empty() {
                    answer.push_str(" / ");
                }
                answer.push_str(&found.line);
                return Ok(Some(Access { prompt: prompt.line.clone(), answer }));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;
    use rstest::rstest;

    #[rstest]
    #[case::u_boot("=> ")]
    #[case::u_boot_of_a_vendor("U-Boot> ")]
    #[case::marvell("Marvell>> ")]
    #[case::cfe("CFE> ")]
    #[case::busybox("/ # ")]
    #[case::root("root@device:~# ")]
    #[case::bash("bash-5.1$ ")]
    #[case::zephyr("uart:~$ ")]
    #[case::loader("BL> ")]
    #[case::typed_over("BL> BL> BL> ")]
    #[case::in_brackets("(ipl)> ")]
    fn prompts_are_known(#[case] line: &str) {
        assert!(Regex::new(PROMPT).unwrap().is_match(line));
    }

    #[rstest]
    #[case::login("login: ")]
    #[case::password("password: ")]
    #[case::countdown("autoboot 2..")]
    #[case::hit_any_key("Hit any key to stop autoboot:  2 ")]
    #[case::noise("DBG ]]> <failure>&amp; end")]
    #[case::log("NET wifi-key ****ab")]
    #[case::progress("progress: 100 % done")]
    #[case::nothing("")]
    fn log_lines_are_no_prompts(#[case] line: &str) {
        assert!(!Regex::new(PROMPT).unwrap().is_match(line));
    }

    #[rstest]
    #[case("ERR unknown command")]
    #[case("sh: help: command not found")]
    #[case("Unknown command 'help' - try 'help'")]
    fn answers_of_shells_are_known(#[case] line: &str) {
        assert!(Regex::new(ANSWERS).unwrap().is_match(line));
    }
}
