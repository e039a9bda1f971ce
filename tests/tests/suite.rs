//! The end-to-end suite: one program, real TLS, real store, real small models. One file per scenario.

mod suite {
    mod asking;
    mod crash;
    mod demo;
    mod isolation;
    mod load;
    mod openai_clients;
    pub(crate) mod site;
}
