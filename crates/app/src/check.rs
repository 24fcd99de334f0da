//! `limpid check`: what the settings come to, and where each value came from.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use crate::cli::{Output, SettingsArgs};
use crate::settings::{Env, Fault, Origin, Resolved};

/// Validates and prints; exit code 1 and a line for each fault if there is one. Warnings go to standard error and
/// change nothing.
pub fn run(args: &SettingsArgs, env: Env, colour: bool) -> Output {
    let paint = Paint(colour);
    match args.load(env) {
        Ok(loaded) => {
            let file = args.file().map_or("no file".to_owned(), |f| f.display().to_string());
            let stdout = format!("{}{}", paint.faint(&format!("# from {file}\n")), show(&loaded.resolved, paint));
            Output { stdout, stderr: warnings(&loaded.warnings), code: 0 }
        }
        Err(faults) => Output { stderr: format!("{faults}\n"), code: 1, ..Output::default() },
    }
}

/// Whether standard output wants colour: a terminal does, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn wants_colour(env: &Env) -> bool {
    std::io::stdout().is_terminal() && env.get("NO_COLOR").is_none_or(String::is_empty)
}

fn warnings(warnings: &[Fault]) -> String {
    warnings.iter().fold(String::new(), |mut out, warning| {
        let _ = writeln!(out, "warning: {warning}");
        out
    })
}

/// The settings as TOML, each with its origin as a comment: what is printed can be read back.
fn show(resolved: &[Resolved], paint: Paint) -> String {
    let mut out = String::new();
    for group in resolved.chunk_by(|a, b| a.section == b.section) {
        let Some(first) = group.first() else { continue };
        let _ = writeln!(out, "\n{}", paint.bold(&format!("[{}]", first.section)));
        let lines: Vec<(String, &Resolved)> = group.iter().map(|r| (line(r), r)).collect();
        // One long value does not push all origins off the screen.
        let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|n| *n <= 60).max().unwrap_or(0);
        for (line, resolved) in lines {
            let origin = format!("# {}", resolved.origin);
            let origin = if resolved.origin == Origin::Default { paint.faint(&origin) } else { paint.green(&origin) };
            let line = format!("{line:width$}");
            let line = if resolved.value.is_none() || !resolved.is_setting { paint.faint(&line) } else { line };
            let _ = writeln!(out, "{line}  {origin}");
        }
    }
    out
}

fn line(r: &Resolved) -> String {
    match (&r.value, r.is_setting) {
        (Some(value), true) => format!("{} = {value}", r.key),
        (Some(value), false) => format!("# {}: {value}", r.key),
        (None, _) => format!("# {} is not set", r.key),
    }
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
