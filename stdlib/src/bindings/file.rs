//! Files and the environment: what a scenario writes for its programs, and what it reads back.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use rhai::{Array, Dynamic};

use super::core::equivalent::escaped;
use super::core::prelude::*;
use super::core::register::Family;
use crate::catalog::Key;
use crate::error::{Error, Kind, Result};
use crate::lab::{Lab, tmpfiles};
use crate::name::short;

pub(super) const FAMILY: Family = Family { name: "files", types: &[], bindings: BINDINGS };

/// The largest file that is read: as much as is kept of a program's output.
const LARGEST: u64 = 16 << 20;

/// The permissions of a new file, which the umask restricts.
const MODE: u32 = 0o666;

/// How a file is written.
pub(crate) struct WriteOptions {
    append: bool,
    mode: Option<u32>,
}

impl FromOptions for WriteOptions {
    const KEYS: &'static [Key] = &[
        Key::new("append", "whether to write behind what is there; default false"),
        Key::new("mode", "its permissions, as in \"0755\"; default those that the umask leaves"),
    ];
    fn from(options: &mut Options) -> Result<Self> {
        let mode = options.text("mode")?.map(|text| match u32::from_str_radix(&text, 8) {
            Ok(mode @ 0..=0o7777) => Ok(mode),
            _ => Err(Error::usage(format!("`{}` is not a valid mode", short(&text)))
                .hint("three or four octal digits, as in \"0755\"")),
        });
        Ok(Self { append: options.flag("append")?.unwrap_or(false), mode: mode.transpose()? })
    }
    fn fill(&self, values: &mut Values<'_>) {
        values.switch("-a", self.append);
        values.set_some("mode", self.mode.map(|mode| format!("{mode:04o}")));
    }
}

fn operation(verb: &str, path: &str) -> String {
    format!("{verb} file `{}`", short(path))
}

/// Opens a regular file. Opening anything else could wait for another process.
fn regular(mut options: OpenOptions, path: &str) -> io::Result<File> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    match file.metadata()? {
        kind if kind.is_file() => Ok(file),
        kind if kind.is_dir() => Err(io::Error::from_raw_os_error(Errno::EISDIR as i32)),
        _ => Err(io::Error::other("it is not a regular file")),
    }
}

fn read(path: &str) -> Result<String> {
    let failed = |error: &io::Error| Error::io(operation("read", path), error);
    let mut options = OpenOptions::new();
    options.read(true);
    let file = regular(options, path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::plain(Kind::Usage, format!("`{}` has more than {} MiB", short(path), LARGEST >> 20))
            .hint("read a part of it with a program: `exec([\"head\", \"-c\", \"1000\", path]).stdout`"));
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn write(path: &str, text: &str, options: &WriteOptions) -> Result<()> {
    let failed = |error: &io::Error| {
        let error_of = Error::io(operation("write", path), error);
        match Path::new(path).parent() {
            Some(above) if error_of.errno == Some(Errno::ENOENT) && !above.exists() => {
                error_of.hint(format!("there is no directory `{}`", short(&above.to_string_lossy())))
            }
            _ => error_of,
        }
    };
    let mut open = OpenOptions::new();
    open.write(true).create(true).append(options.append).mode(options.mode.unwrap_or(MODE));
    let written = regular(open, path).and_then(|mut file| {
        if let Some(mode) = options.mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode))?; // the file may have been there
        }
        if !options.append {
            file.set_len(0)?;
        }
        file.write_all(text.as_bytes())
    });
    written.map_err(|error| failed(&error))
}

bindings! {
    /// Returns the text of a file of at most 16 MiB.
    ///
    /// Like `cat PATH`. Bytes that are not UTF-8 become `�`.
    ///
    /// ```rhai
    /// check read_file("/proc/sys/kernel/ostype") == "Linux\n";
    /// ```
    fn read_file(path: String) -> String {
        read(&path)
    }

    /// Writes a text to a file, in place of what is there, and returns the path.
    ///
    /// Like `printf %b TEXT | tee [-a] PATH > /dev/null && [chmod MODE PATH]`. `/run` belongs to the lab; what is written
    /// elsewhere may stay.
    ///
    /// ```rhai
    /// let conf = write_file("/run/daemon.conf", "port = 80\n");
    /// write_file(conf, "verbose\n", #{append: true, mode: "0600"});
    /// check read_file(conf) == "port = 80\nverbose\n";
    /// ```
    fn write_file(path: String, text: Text, opts: Opts<WriteOptions>) -> String {
        write(&path, &text.0, &opts.0)?;
        Ok(path.clone())
    }

    /// Returns a variable of the environment; `()` if there is none of that name.
    ///
    /// Like `printenv NAME`.
    ///
    /// ```rhai
    /// check env("PATH").contains("bin");
    /// check env("NO_SUCH_VARIABLE") == ();
    /// ```
    fn env(name: String) -> Option<String> {
        // The standard library panics at these.
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::usage(format!("`{}` is not a valid name of a variable", short(&name))));
        }
        Ok(std::env::var_os(&name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Makes the directories in `/run` that installed programs have in their `tmpfiles.d` files, and returns the new ones.
    ///
    /// No equivalent command: `systemd-tmpfiles --create --prefix=/run` makes more than directories. A lab's `/run` is empty at
    /// its start, and a program as it is packaged expects its own directory there, such as `/run/frr`. An owner that the lab
    /// has no id for is left out.
    ///
    /// ```rhai
    /// tmpfiles();
    /// check tmpfiles() == [];
    /// ```
    fn tmpfiles(lab: Arc<Lab>) -> Array {
        Ok(tmpfiles::make(&lab)?.into_iter().map(Dynamic::from).collect())
    }
}

/// The text that is written, with what stands for it in a command.
pub(crate) struct Text(String);

impl Arg for Text {
    const TYPE: &'static str = "string";
    fn take(call: &mut Call<'_>, name: &str) -> Result<Self> {
        String::take(call, name).map(Self)
    }
    fn fill(&self, name: &str, values: &mut Values<'_>) {
        values.put(name, Ok(escaped(&self.0)));
    }
}
