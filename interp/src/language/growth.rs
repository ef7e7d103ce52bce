//! The memory budget in the language: the token that ends a script beyond it, and the functions of Rhai that grow by a
//! number or a text that the script gives, which ask for room first.

use rhai::{Array, Blob, Dynamic, Engine, EvalAltResult, INT, ImmutableString, Position};
use stdlib::bindings::RhaiResultOf;
use stdlib::exec::memory;

/// The value that an evaluation beyond the memory budget is terminated with. No `catch` stops it: it would go on.
#[derive(Clone, Copy)]
pub(super) struct Exceeded;

/// The bytes that a block of the heap takes beside its contents.
const HEADER: usize = 40;

fn exceeded<T>() -> RhaiResultOf<T> {
    Err(EvalAltResult::ErrorTerminated(Dynamic::from(Exceeded), Position::NONE).into())
}

/// An error unless there is room for `count` things of `size` bytes.
fn room(count: usize, size: usize) -> RhaiResultOf<()> {
    let bytes = count.saturating_mul(size);
    if memory::has_room_for(bytes) { Ok(()) } else { exceeded() }
}

/// A length that a script gives. What is negative or too large for this machine has no room either way.
fn length(number: INT) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

/// Replaces the functions.
pub(super) fn register(engine: &mut Engine) {
    engine
        .register_fn("pad", |array: &mut Array, to: INT, item: Dynamic| pad_array(array, length(to), &item))
        .register_fn("pad", |text: &mut ImmutableString, to: INT, with: char| {
            pad_text(text, length(to), with.encode_utf8(&mut [0; 4]))
        })
        .register_fn("pad", |text: &mut ImmutableString, to: INT, with: &str| pad_text(text, length(to), with))
        .register_fn("pad", |blob: &mut Blob, to: INT, byte: INT| pad_blob(blob, length(to), byte))
        .register_fn("blob", |of: INT| new_blob(length(of), 0))
        .register_fn("blob", |of: INT, byte: INT| new_blob(length(of), byte))
        .register_fn("to_array", |blob: &mut Blob| -> RhaiResultOf<Array> {
            room(blob.len(), size_of::<Dynamic>())?;
            Ok(blob.iter().map(|byte| INT::from(*byte).into()).collect())
        })
        .register_fn("to_chars", |text: &str| -> RhaiResultOf<Array> {
            room(text.len(), size_of::<Dynamic>())?;
            Ok(text.chars().map(Dynamic::from).collect())
        })
        .register_fn("replace", |text: &mut ImmutableString, find: &str, with: &str| replace(text, find, with))
        .register_fn("replace", |text: &mut ImmutableString, find: char, with: &str| {
            replace(text, find.encode_utf8(&mut [0; 4]), with)
        })
        .register_fn("split", |text: &mut ImmutableString, at: &str| split(text, at))
        .register_fn("split", |text: &mut ImmutableString, at: char| split(text, at.encode_utf8(&mut [0; 4])));
}

fn pad_array(array: &mut Array, to: usize, item: &Dynamic) -> RhaiResultOf<()> {
    let missing = to.saturating_sub(array.len());
    room(missing, size_of::<Dynamic>())?;
    array.reserve(missing);
    for _ in 0..missing {
        // Each copy of an item may be large.
        if memory::is_exceeded() {
            return exceeded();
        }
        array.push(item.clone());
    }
    Ok(())
}

fn pad_text(text: &mut ImmutableString, to: usize, with: &str) -> RhaiResultOf<()> {
    let missing = to.saturating_sub(text.chars().count());
    if missing == 0 || with.is_empty() {
        return Ok(());
    }
    let whole = with.chars().count();
    room(missing, with.len().div_ceil(whole))?;
    let padded = text.make_mut();
    padded.push_str(&with.repeat(missing / whole));
    padded.extend(with.chars().take(missing % whole));
    Ok(())
}

/// The byte of a number: its low eight bits.
fn low_byte(number: INT) -> u8 {
    number.to_le_bytes()[0]
}

fn pad_blob(blob: &mut Blob, to: usize, byte: INT) -> RhaiResultOf<()> {
    room(to.saturating_sub(blob.len()), 1)?;
    if to > blob.len() {
        blob.resize(to, low_byte(byte));
    }
    Ok(())
}

fn new_blob(of: usize, byte: INT) -> RhaiResultOf<Blob> {
    room(of, 1)?;
    Ok(vec![low_byte(byte); of])
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> RhaiResultOf<()> {
    if !text.is_empty() {
        room(text.matches(find).count(), with.len().saturating_sub(find.len()))?;
        *text = text.replace(find, with).into();
    }
    Ok(())
}

fn split(text: &ImmutableString, at: &str) -> RhaiResultOf<Array> {
    if text.is_empty() || (!at.is_empty() && !text.contains(at)) {
        return Ok(vec![text.clone().into()]);
    }
    room(text.matches(at).count(), size_of::<Dynamic>() + HEADER)?;
    Ok(text.split(at).map(|part| Dynamic::from(ImmutableString::from(part))).collect())
}
