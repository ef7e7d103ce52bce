//! `nslab stop`: ends labs.

use clap::Args;
use stdlib::exec::labs;

use crate::console::{Console, Lost};
use crate::status::Status;

#[derive(Args)]
pub(super) struct Arguments {
    /// The names or PIDs of labs, as `nslab ps` shows them.
    #[arg(required = true, value_name = "LAB")]
    labs: Vec<String>,
}

/// Ends the labs with all their processes. The status is a success if all of them have ended.
pub(super) fn main(console: &Console, arguments: &Arguments) -> Result<Status, Lost> {
    let mut status = Status::Ok;
    for which in &arguments.labs {
        match labs::find(Some(which)).and_then(|lab| lab.stop().map(|()| lab)) {
            Ok(lab) => console.say(&format!("the lab `{lab}` has ended"))?,
            Err(error) => {
                console.error_with_hint(&error);
                status = Status::Failed;
            }
        }
    }
    Ok(status)
}
