//! The emulated thermostat as a process on real wires: the device of the emulator, run against real time, with its console and update port on
//! pseudo terminals, its debug port behind a probe on TCP, its flash in a file. Killing the process is the power cut.
//!
//! One thread and one poll loop ([`run::Board`]): the world is used by nobody else. What a wire carries reaches the world at the moment it
//! is read; what the world has done by now goes out in the order flash, then ports, so that nobody is told of a write that a kill undoes.

pub mod bmp;
pub mod fixture;
pub mod flashfile;
pub mod pty;
pub mod run;
