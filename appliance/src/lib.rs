//! Skeleton.

pub mod config;
pub mod cpu;
pub mod doctor;
pub mod edge;
pub mod governed;
pub mod identity;
