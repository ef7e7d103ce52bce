#![doc = include_str!("../README.md")]

pub mod bindings;
pub mod catalog;
pub mod error;
pub mod exec;
pub mod kernel;
pub mod lab;
pub mod name;
pub mod net;
pub mod notation;
pub mod ns;
pub mod suggest;

pub use error::{Error, Kind, Result};
