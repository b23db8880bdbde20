//! Integration tests of the development stack.

mod dashboards;
mod dev_stack;
