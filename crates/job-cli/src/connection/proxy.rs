//! Selects the proxy: the flag `--proxy`, or else the variable `HTTPS_PROXY`.

use std::{collections::BTreeMap, env, ffi::OsString, fmt};

use anyhow::Context;
use job_transport::hyper::Proxy;

use super::Sourced;

/// The variables, in the order in which the two spellings of a name are tried.
const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The environment variables that set a proxy. Empty ones count as not set.
pub(crate) struct ProxyVariables(BTreeMap<&'static str, OsString>);

impl ProxyVariables {
    pub(crate) fn from_environment() -> Self {
        Self::from_lookup(|name| env::var_os(name))
    }

    pub(crate) fn from_lookup(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let names = [HTTPS_PROXY, ALL_PROXY, NO_PROXY].concat();
        let known = |name| Some((name, value(name).filter(|value| !value.is_empty())?));
        Self(names.into_iter().filter_map(known).collect())
    }

    /// Returns the first variable that is set, and its value.
    ///
    /// # Errors
    ///
    /// Returns an error if its value is not valid UTF-8.
    fn first(&self, names: &[&'static str]) -> anyhow::Result<Option<(&'static str, &str)>> {
        let found = names.iter().find_map(|name| Some((*name, self.0.get(name)?)));
        let Some((name, value)) = found else { return Ok(None) };
        let value = value.to_str().with_context(|| format!("{name} is not valid UTF-8"))?;
        Ok(Some((name, value)))
    }
}

/// Prints only the names, because a value may contain a password.
impl fmt::Debug for ProxyVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxyVariables").field(&self.0.keys()).finish()
    }
}

/// Returns the proxy that the flag or a variable sets, if there is one. `flag_source` is the name of
/// the flag or of its own variable.
///
/// # Errors
///
/// Returns an error if the flag or the variable has no usable URL.
pub(crate) fn select(
    flag: Option<&str>,
    flag_source: &str,
    variables: &ProxyVariables,
) -> anyhow::Result<Option<Sourced<Proxy>>> {
    let found = match flag {
        Some("none") => return Ok(None),
        Some("env") => {
            let found = variables.first(&[HTTPS_PROXY, ALL_PROXY].concat())?;
            Some(found.context("--proxy env: set HTTPS_PROXY or ALL_PROXY")?)
        }
        Some(url) => {
            anyhow::ensure!(
                !url.contains('@'),
                "a password cannot be part of a flag; set HTTPS_PROXY instead of --proxy"
            );
            let proxy = Proxy::new(url, "").with_context(|| flag_source.to_owned())?;
            return Ok(Some(Sourced::new(proxy, flag_source)));
        }
        None => variables.first(&HTTPS_PROXY)?,
    };
    let Some((name, url)) = found else { return Ok(None) };
    let (_, except) = variables.first(&NO_PROXY)?.unwrap_or_default();
    let proxy = Proxy::new(url, except).with_context(|| {
        format!("cannot use the proxy in {name}; correct it, or use `--proxy none`")
    })?;
    Ok(Some(Sourced::new(proxy, name)))
}
