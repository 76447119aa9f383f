//! `privnet schema`, `completions` and `man`: for editors and shells.

use clap::CommandFactory as _;

use crate::args::Args;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn schema(output: Output) -> Exit {
    output.raw(format!("{:#}\n", privnet_core::spec::schema()).as_bytes());
    Exit::Done
}

pub(crate) fn completions(shell: clap_complete::Shell, output: Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "privnet", &mut script);
    output.raw(&script);
    Exit::Done
}

/// One page for the program and each of its commands.
pub(crate) fn man(output: Output) -> Result<Exit, Failure> {
    let mut command = Args::command();
    command.build();
    let mut pages = Vec::new();
    let failed = |cause: std::io::Error| Failure::io("cannot render the manual page", &cause);
    clap_mangen::Man::new(command.clone()).render(&mut pages).map_err(failed)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        clap_mangen::Man::new(sub.clone()).render(&mut pages).map_err(failed)?;
    }
    output.raw(&pages);
    Ok(Exit::Done)
}
