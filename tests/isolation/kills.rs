//! SIGKILL at random moments: nothing is left.

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::oracle::{FREE, State};
use crate::common::{TAG, children, keeper, nslab, wait_until_none_has};

/// The number of kills; the variable overrides it.
const KILLS: usize = 500;
const KILLS_VARIABLE: &str = "NSLAB_TEST_KILLS";

/// The seed of the moments; the variable overrides it.
const SEED: u64 = 0x5eed;
const SEED_VARIABLE: &str = "NSLAB_TEST_SEED";

/// The number of labs at one time.
const PARALLEL: usize = 8;

/// A switch with twenty nodes, a process in one of them, and pings.
const STAR: &str = r#"
let switch_ns = netns("switch");
let br = up(bridge(switch_ns, "br0"));
let nodes = [];
for n in 1..=20 {
    let node = netns(`node${n}`);
    let cable = veth(switch_ns, `port${n}`, node, "eth0");
    up(set_master(cable.a, br));
    up(cable.b, `10.0.0.${n}/24`);
    nodes.push(node);
}
start(nodes[0], ["sh", "-c", "sleep 100 & sleep 100"]);
exec(nodes[1], "true");
let box = unshare(["pid", "mount", "uts"]);
exec(box, "true");
check ping(nodes[2], "10.0.0.20").ok;
"#;

/// Random numbers that are the same each time (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

pub(super) fn seed() -> u64 {
    env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

fn start(script: &str, tag: &str) -> Child {
    let mut command = nslab();
    command.args(["run", script]).env(TAG, tag).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Does `work` for each number below `count`, several at once.
pub(super) fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        return;
                    }
                    work(n);
                }
            });
        }
    });
}

/// The figures of all runs.
#[derive(Default)]
struct Figures {
    by_target: [usize; 4],
    too_late: usize,
    settled: Vec<Duration>,
}

#[trial(user_namespace, ip)]
fn kills_at_random_moments_leave_nothing() {
    let kills = env::var(KILLS_VARIABLE).ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS);
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let star = directory.path().join("star.rhai");
    std::fs::write(&star, STAR).unwrap();
    let star = star.to_str().unwrap().to_owned();
    let walk = crate::root().join("scripts/walkthrough.rhai").to_str().unwrap().to_owned();
    // The star costs more.
    let script_of = |n: usize| if n % 3 == 2 { &star } else { &walk };

    let before = State::now();

    // How long a run takes with as many others at the same time.
    let times = Mutex::new([Vec::new(), Vec::new()]);
    in_parallel(18, |n| {
        let begin = Instant::now();
        let status = start(script_of(n), "calibration").wait().unwrap();
        assert!(status.success(), "{}: {status}", script_of(n));
        times.lock().unwrap()[usize::from(n % 3 == 2)].push(begin.elapsed());
    });
    let mean = times.into_inner().unwrap().map(|times| times.iter().sum::<Duration>() / 6);
    let [walk_time, star_time] = [mean[0] / 2, mean[1]];

    before.is_back_within(FREE).unwrap();
    let begin = Instant::now();
    let figures = Mutex::new(Figures::default());
    in_parallel(kills, |n| {
        let mut random = Random::new(seed() + n as u64);
        let tag = format!("kill-{n}");
        let time = if n % 3 == 2 { star_time } else { walk_time };
        let moment = Duration::from_micros(random.below(u64::try_from(time.as_micros()).unwrap() * 13 / 10));
        let mut front = start(script_of(n), &tag);
        thread::sleep(moment);
        let id = i32::try_from(front.id()).unwrap();
        let keeper = keeper(id);
        let interpreter = keeper.and_then(|keeper| children(keeper).first().copied());
        let wanted = usize::try_from(random.below(4)).unwrap();
        let target = match wanted {
            1 => keeper.unwrap_or(id),
            2 => interpreter.or(keeper).unwrap_or(id),
            3 => children(id).into_iter().find(|child| Some(*child) != keeper).unwrap_or(id), // the helper, while there is one
            _ => id,
        };
        // These are our children and the front is not reaped yet, so no PID was reused. That of a helper which has ended
        // meanwhile is not used again so soon.
        let killed = kill(Pid::from_raw(target), Signal::SIGKILL).is_ok();
        let killed_at = Instant::now();
        let status = front.wait().unwrap();
        wait_until_none_has(&tag);
        let mut figures = figures.lock().unwrap();
        figures.by_target[wanted] += 1;
        figures.settled.push(killed_at.elapsed());
        if status.success() {
            figures.too_late += 1;
        } else if wanted == 3 {
            // Without its helper a lab of root makes no sandbox.
            assert!(target == id || matches!(status.code(), Some(2 | 137)), "killed the helper {target}: {status}");
        } else if target != id {
            assert_eq!(status.code(), Some(137), "killed {target}, not the front ({killed}): {status}");
        }
    });
    let took = begin.elapsed();
    let last = before.is_back_within(FREE).expect("something is left");
    let Figures { by_target: [front, keeper, interpreter, helper], too_late, mut settled } =
        figures.into_inner().unwrap();
    settled.sort();
    println!(
        "{kills} kills in {took:.1?} (front {front}, keeper {keeper}, interpreter {interpreter}, helper {helper}; {too_late} had ended): 0 left; \
         processes gone after {:.1?} (median), {:.1?} (99 %), {:.1?} (all); all of it seen to be gone {last:.1?} after the last",
        settled[settled.len() / 2],
        settled[settled.len() * 99 / 100],
        settled[settled.len() - 1],
    );
}
