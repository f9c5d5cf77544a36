//! The device without its application: loader, swap, world.

mod common;
mod loader;
mod swap;
mod world;
