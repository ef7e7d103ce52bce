//! Sysctls below `/proc/sys/net`, in the namespace's own copy.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use nix::errno::Errno;

use super::Net;
use super::permit::Permit;
use crate::error::{Error, Kind, Result};
use crate::exec::directory;
use crate::name::short;

/// A key with a link's name as it is typed: `net.ipv4.conf.eth0.100.forwarding` means the link `eth0.100`, whose dot
/// is a slash in the canonical form.
#[must_use]
pub fn canonical(key: &str) -> String {
    match key.split('.').collect::<Vec<_>>().as_slice() {
        [net, family, table @ ("conf" | "neigh"), link @ .., last] if link.len() > 1 => {
            format!("{net}.{family}.{table}.{}.{last}", link.join("/"))
        }
        _ => key.to_owned(),
    }
}

/// The file of a key such as `net.ipv4.ip_forward`.
fn file(key: &str) -> Result<PathBuf> {
    let fits = key.starts_with("net.")
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
        && !key.split(['.', '/']).any(str::is_empty);
    if !fits {
        return Err(Error::usage(format!("no sysctl of a network namespace is called `{}`", short(key))).hint(
            "the keys begin with `net.`, as in `net.ipv4.ip_forward`; write `/` for a dot inside a link's name",
        ));
    }
    // As sysctl(8): dots are slashes, and slashes dots.
    let path: String = key
        .chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect();
    Ok(PathBuf::from("/proc/sys").join(path))
}

impl Net {
    /// The sysctls that begin with `prefix`, up to the next dot (which is kept).
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn sysctl_names(&self, prefix: &str) -> Result<Vec<String>> {
        let directory = prefix.rsplit_once('.').map_or("net", |(directory, _)| directory);
        let path = file(directory).unwrap_or_else(|_| PathBuf::from("/proc/sys/net"));
        let shown = if path.ends_with("net") { "net" } else { directory };
        self.open(|| {
            let listed = directory::names(&path).and_then(|names| {
                let name = |name: &OsString| {
                    let dot = if fs::metadata(path.join(name))?.is_dir() { "." } else { "" };
                    // As in sysctl(8), a dot inside a name is written as a slash.
                    Ok(format!("{shown}.{}{dot}", directory::text(name).replace('.', "/")))
                };
                names.iter().map(name).collect()
            });
            listed.map_err(|e| Error::io(format!("list `{}`", path.display()), &e))
        })
    }

    /// Reads a sysctl. Like `sysctl -n KEY`.
    pub(crate) fn sysctl(&self, key: &str) -> Result<String> {
        let file = file(key)?;
        // The files follow the network namespace of the thread that opens them.
        let read = self.open(|| fs::read_to_string(file).map_err(|e| Error::io(format!("read `{}`", short(key)), &e)));
        Ok(read.map_err(|error| self.hint_at_a_sysctl(key, error))?.trim().to_owned())
    }

    /// For a sysctl that does not exist, the one in the same directory with the longest common beginning.
    fn hint_at_a_sysctl(&self, key: &str, error: Error) -> Error {
        if error.errno != Some(Errno::ENOENT) {
            return error;
        }
        let alike = |name: &str| name.chars().zip(key.chars()).take_while(|(a, b)| a == b).count();
        let last = key.rfind('.').map_or(0, |dot| dot + 1);
        let names = self.sysctl_names(key.get(..last + 1).unwrap_or(key)).unwrap_or_default();
        let near = names.into_iter().filter(|name| alike(name) >= last + 2);
        match near.max_by_key(|name| (alike(name), Reverse(name.len()))) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None => error,
        }
    }

    /// The sysctls that `pattern` names, with their values; a part `*` stands for any file. Those that have no value yet
    /// are left out.
    pub(crate) fn sysctls_like(&self, pattern: &str) -> Result<Vec<(String, String)>> {
        let Some((directory, rest)) = pattern.split_once(".*") else {
            return Ok(self.sysctl(pattern).map(|value| (pattern.to_owned(), value)).into_iter().collect());
        };
        let path = file(directory)?;
        let names = self.open(|| match directory::names(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()), // the link has none
            names => names.map_err(|error| Error::io(format!("list `{directory}`"), &error)),
        })?;
        let mut sysctls = Vec::new();
        for name in names.iter().filter_map(|name| name.to_str()) {
            let key = format!("{directory}.{}{rest}", name.replace('.', "/"));
            match self.sysctl(&key) {
                Ok(value) => sysctls.push((key, value)),
                Err(error) if error.kind == Kind::NotFound => {} // the link is gone, or has no such sysctl
                Err(error) if error.errno == Some(Errno::EIO) => {} // no value yet (addrconf_sysctl_stable_secret)
                Err(error) => return Err(error),
            }
        }
        Ok(sysctls)
    }

    /// Writes a sysctl and returns its new value. Like `sysctl -w KEY=VALUE`.
    pub(crate) fn set_sysctl(&self, _: &impl Permit, key: &str, value: &str) -> Result<String> {
        let file = file(key)?;
        let text = self.open(|| {
            // Not `fs::write`: that opens with O_CREAT, which is refused for a file that does not exist.
            let opened = fs::File::options().write(true).open(&file);
            opened.and_then(|mut file| file.write_all(value.as_bytes())).map_err(|e| {
                let error = Error::io(format!("write `{}` to `{}`", short(value), short(key)), &e);
                match error.errno {
                    Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => error.hint(
                        "sysctls of the whole machine cannot be changed from a lab; `sysctl(key)` reads the value",
                    ),
                    Some(Errno::EINVAL) => {
                        error.hint("the sysctl does not take this value; `sysctl(key)` shows one that it does")
                    }
                    Some(Errno::EISDIR) => error.hint("this is a group of sysctls: name one of them"),
                    _ => error,
                }
            })?;
            fs::read_to_string(&file).map_err(|e| Error::io(format!("read `{}`", short(key)), &e))
        });
        let text = text.map_err(|error| self.hint_at_a_sysctl(key, error))?;
        Ok(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_a_links_name_is_one_directory() {
        assert_eq!(canonical("net.ipv4.conf.eth0.100.forwarding"), "net.ipv4.conf.eth0/100.forwarding");
        assert_eq!(canonical("net.ipv4.conf.eth0/100.forwarding"), "net.ipv4.conf.eth0/100.forwarding");
        assert_eq!(canonical("net.ipv4.conf.all.forwarding"), "net.ipv4.conf.all.forwarding");
        assert_eq!(canonical("net.ipv4.ip_forward"), "net.ipv4.ip_forward");
        assert_eq!(
            file("net.ipv4.conf.eth0/100.rp_filter").unwrap().to_str(),
            Some("/proc/sys/net/ipv4/conf/eth0.100/rp_filter")
        );
    }
}
