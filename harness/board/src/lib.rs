//! The emulated thermostat as a process on real wires: the device of the emulator, run against real time, with its console on a pseudo terminal and over
//! TCP, its update port on another terminal and over UDP, its debug port behind three kinds of probe, its flash in a file, and its network, if it is given
//! one, on sockets at an address of its own ([`net`]). Killing the process is the power cut; a supervisor can do that, and is then the power switch
//! ([`supervisor`]).
//!
//! One thread and one poll loop ([`run::Board`]): the world is used by nobody else. What a wire carries reaches the world at the moment it
//! is read; what the world has done by now goes out in the order flash, then ports, so that nobody is told of a write that a kill undoes.

pub mod bitbang;
pub mod bmp;
pub mod clock;
pub mod comport;
pub mod conn;
pub mod console;
pub mod crowd;
pub mod device;
pub mod doors;
pub mod fixture;
pub mod flashfile;
pub mod net;
pub mod probes;
pub mod pty;
pub mod pyocd;
pub mod run;
pub mod smp;
pub mod supervisor;
pub mod swd;
pub mod switch;
