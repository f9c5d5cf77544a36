//! placeholder

pub mod bmp;
