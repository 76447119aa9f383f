//! `privnet status`: services, targets, connections, and what waits for whom.

use serde_json::json;

use super::{Shell, joined};
use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::status_text;

pub(crate) async fn run(shell: &Shell, which: &Which) -> Result<Exit, Failure> {
    let (mut exit, mut objects, mut text) = (Exit::Done, Vec::new(), String::new());
    for file in shell.open(which, 16)? {
        let (services, unreachable) = {
            let _line = shell.progress.during("looking at the cloud");
            file.session.status().await
        };
        shell.not_interrupted()?;
        if shell.unreachable(&unreachable) {
            exit = exit.worse(Exit::Failed);
        }
        text.push_str(&status_text(&services, shell.output.paint()));
        objects.push(json!({"services": services}));
    }
    shell.output.result(|_| text, || joined(objects));
    Ok(exit)
}
