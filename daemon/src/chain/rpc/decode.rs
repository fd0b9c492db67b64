//! What is read of bitcoind's answers, and nothing else: a field that is not used may come, go or change its shape with any
//! version. From Bitcoin Core 28 on `warnings` is a list; 29 and later dropped or moved others.

use std::str::FromStr;

use autonomy_node::ChainPoint;
use bdk_wallet::bitcoin::{BlockHash, FeeRate, Network};
use serde_json::Value;

use crate::chain::cursor::Standing;

/// A field that is needed and is missing, or is of another kind than it always was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) &'static str);

type Decoded<T> = Result<T, Missing>;

/// How the source is, at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Survey {
    /// The network it is on, by bitcoind's own name: `main`, `test`, `testnet4`, `signet`, `regtest`.
    pub(crate) chain: String,
    /// Its best block.
    pub(crate) best: BlockHash,
    /// Blocks it has: the height of the best one.
    pub(crate) blocks: u32,
    /// The height it is on its way to, while it has only headers of what comes.
    pub(crate) catching_up_to: Option<u32>,
}

/// The header of a block, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderInfo {
    /// Negative for a block beside the best chain.
    pub(crate) confirmations: i64,
    pub(crate) time: u64,
    pub(crate) parent: Option<BlockHash>,
    pub(crate) next: Option<BlockHash>,
}

/// The mempool, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MempoolInfo {
    /// Whether bitcoind has read the mempool of its last run.
    pub(crate) loaded: bool,
    /// The least rate that it takes now: the higher of its relay minimum and of what a full mempool asks.
    pub(crate) floor: Option<FeeRate>,
    /// By how much a replacement has to pay more.
    pub(crate) increment: Option<FeeRate>,
}

/// `getblockchaininfo`.
pub(crate) fn survey(answer: &Value) -> Decoded<Survey> {
    let blocks = height(answer, "blocks")?;
    // Test chains may rest for days, which bitcoind takes for catching up.
    let catches_up = answer["initialblockdownload"].as_bool().unwrap_or(false);
    let headers = height(answer, "headers").ok().filter(|headers| catches_up && *headers > blocks);
    let chain = answer["chain"].as_str().ok_or(Missing("chain"))?.to_owned();
    Ok(Survey {
        chain,
        best: parsed(&answer["bestblockhash"], "bestblockhash")?,
        blocks,
        catching_up_to: headers,
    })
}

/// `getblockheader`.
pub(crate) fn header(answer: &Value) -> Decoded<HeaderInfo> {
    Ok(HeaderInfo {
        confirmations: answer["confirmations"].as_i64().ok_or(Missing("confirmations"))?,
        time: answer["time"].as_u64().ok_or(Missing("time"))?,
        parent: parsed(&answer["previousblockhash"], "previousblockhash").ok(),
        next: parsed(&answer["nextblockhash"], "nextblockhash").ok(),
    })
}

/// `getmempoolinfo`. Versions before 24 have no `incrementalrelayfee`.
pub(crate) fn mempool_info(answer: &Value) -> MempoolInfo {
    let floors = [&answer["mempoolminfee"], &answer["minrelaytxfee"]].map(fee_rate);
    MempoolInfo {
        loaded: answer["loaded"].as_bool().unwrap_or(true),
        floor: floors.into_iter().flatten().max(),
        increment: fee_rate(&answer["incrementalrelayfee"]),
    }
}

/// `estimatesmartfee`: satoshi a virtual byte; none where bitcoind cannot tell.
pub(crate) fn estimate(answer: &Value) -> Option<f64> {
    answer["feerate"]
        .as_f64()
        .map(|per_kvb| per_kvb * 100_000.0)
        .filter(|rate| rate.is_finite() && *rate > 0.0)
}

/// `getnetworkinfo`: the version, as people write it.
pub(crate) fn version(answer: &Value) -> Option<String> {
    let version = answer["version"].as_u64()?;
    Some(format!("{}.{}", version / 10_000, version / 100 % 100))
}

/// `waitfornewblock`.
pub(crate) fn tip(answer: &Value) -> Decoded<BlockHash> {
    parsed(&answer["hash"], "hash")
}

/// A hash or an id that is the whole answer.
pub(crate) fn whole<T: FromStr>(answer: &Value) -> Decoded<T> {
    parsed(answer, "result")
}

/// An object, whatever is in it.
pub(crate) fn object(answer: &Value) -> Decoded<()> {
    answer.is_object().then_some(()).ok_or(Missing("result"))
}

/// The `error` of an answer: its number and its words.
pub(crate) fn refusal(error: &Value) -> Decoded<(i64, String)> {
    let code = error["code"].as_i64().ok_or(Missing("error.code"))?;
    Ok((code, error["message"].as_str().unwrap_or("no reason given").to_owned()))
}

/// A list of them.
pub(crate) fn list<T: FromStr>(answer: &Value) -> Decoded<Vec<T>> {
    let all = answer.as_array().ok_or(Missing("result"))?;
    all.iter().map(whole).collect()
}

impl Survey {
    /// The trouble that a pod on this network gets from a source on another one; none where both are on the same.
    pub(crate) fn wrong_network(&self, network: Network) -> Option<String> {
        (self.chain != network.to_core_arg()).then(|| {
            let own = Network::from_core_arg(&self.chain).map_or(self.chain.clone(), |own| own.to_string());
            format!("bitcoind is on {own}, this pod is on {network}: point `bitcoind.url` at the right one")
        })
    }
}

impl HeaderInfo {
    /// Where the block is.
    pub(crate) fn standing(&self) -> Standing {
        if self.confirmations >= 0 { Standing::Best(self.next) } else { Standing::Stale }
    }

    /// The block as nodes remember it.
    pub(crate) fn point(&self, height: u32, hash: BlockHash) -> ChainPoint {
        ChainPoint { height, hash, time: self.time }
    }
}

fn height(answer: &Value, field: &'static str) -> Decoded<u32> {
    let height = answer[field].as_u64().ok_or(Missing(field))?;
    Ok(u32::try_from(height).unwrap_or(u32::MAX))
}

fn parsed<T: FromStr>(value: &Value, field: &'static str) -> Decoded<T> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or(Missing(field))
}

/// A rate in bitcoin a thousand virtual bytes, rounded up to what is surely taken.
fn fee_rate(value: &Value) -> Option<FeeRate> {
    let sat_per_kvb = (value.as_f64()? * 1e8).round();
    let plausible = sat_per_kvb.is_finite() && (0.0..1e12).contains(&sat_per_kvb);
    plausible.then(|| FeeRate::from_sat_per_kwu((sat_per_kvb as u64).div_ceil(4)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HASH: &str = "00000000000000000001a2b3c4d5e6f7081920a1b2c3d4e5f60718293a4b5c6d";

    fn chain_info() -> Value {
        json!({"chain": "regtest", "blocks": 7, "headers": 9, "bestblockhash": HASH, "initialblockdownload": false})
    }

    fn without(mut answer: Value, field: &str) -> Value {
        answer.as_object_mut().unwrap().remove(field);
        answer
    }

    fn with(mut answer: Value, field: &str, value: Value) -> Value {
        answer[field] = value;
        answer
    }

    #[test]
    fn chain_info_is_read_whatever_else_a_version_tells() {
        let plain = survey(&chain_info()).unwrap();
        assert_eq!((plain.blocks, plain.catching_up_to, &*plain.chain), (7, None, "regtest"));
        for warnings in [json!([]), json!(["old", "new"]), json!("one"), json!(null), json!({"a": 1})] {
            assert_eq!(survey(&with(chain_info(), "warnings", warnings)).unwrap(), plain);
        }
        for (field, value) in [
            ("difficulty", json!("high")),
            ("mediantime", json!(null)),
            ("pruneheight", json!(-1)),
            ("softforks", json!([])),
            ("target", json!("00ff")),
            ("bits", json!(3)),
        ] {
            assert_eq!(survey(&with(chain_info(), field, value)).unwrap(), plain, "{field}");
        }
        assert_eq!(survey(&without(chain_info(), "initialblockdownload")).unwrap(), plain);
        assert_eq!(survey(&without(chain_info(), "headers")).unwrap(), plain);
        let busy = with(chain_info(), "initialblockdownload", json!(true));
        assert_eq!(survey(&busy).unwrap().catching_up_to, Some(9));
    }

    #[test]
    fn a_missing_field_that_is_used_is_named() {
        for field in ["chain", "blocks", "bestblockhash"] {
            assert_eq!(survey(&without(chain_info(), field)), Err(Missing(field)));
            assert_eq!(survey(&with(chain_info(), field, json!([]))), Err(Missing(field)));
        }
        assert_eq!(header(&json!({"time": 1})), Err(Missing("confirmations")));
        assert_eq!(header(&json!({"confirmations": 1})), Err(Missing("time")));
        assert_eq!(tip(&json!({})), Err(Missing("hash")));
        assert_eq!(list::<BlockHash>(&json!({})), Err(Missing("result")));
    }

    #[test]
    fn a_network_is_compared_by_bitcoinds_own_name() {
        let on = |chain: &str| survey(&with(chain_info(), "chain", json!(chain))).unwrap();
        assert_eq!(on("regtest").wrong_network(Network::Regtest), None);
        assert_eq!(on("main").wrong_network(Network::Bitcoin), None);
        assert!(
            on("testnet4").wrong_network(Network::Testnet).is_some_and(|why| why.contains("on testnet4"))
        );
        assert!(
            on("quantumnet").wrong_network(Network::Bitcoin).is_some_and(|why| why.contains("quantumnet"))
        );
    }

    #[test]
    fn a_header_needs_no_more_than_depth_and_time() {
        let least = header(&json!({"confirmations": -1, "time": 5})).unwrap();
        assert_eq!((least.standing(), least.parent), (Standing::Stale, None));
        let whole = json!({"confirmations": 3, "time": 5, "previousblockhash": HASH, "nextblockhash": HASH,
            "versionHex": 1, "nTx": "x", "chainwork": null});
        let next = HASH.parse().unwrap();
        assert_eq!(header(&whole).unwrap().standing(), Standing::Best(Some(next)));
    }

    #[test]
    fn the_floor_is_the_higher_minimum_and_may_be_missing() {
        let rate = |sat_per_kvb: u64| Some(FeeRate::from_sat_per_kwu(sat_per_kvb.div_ceil(4)));
        let all = json!({"loaded": true, "mempoolminfee": 0.00000100, "minrelaytxfee": 0.00001000,
            "incrementalrelayfee": 0.000001});
        let info = mempool_info(&all);
        assert_eq!((info.loaded, info.floor, info.increment), (true, rate(1_000), rate(100)));
        let full = mempool_info(&with(all.clone(), "mempoolminfee", json!(0.00012345)));
        assert_eq!(full.floor, rate(12_345));
        let bare = mempool_info(&json!({}));
        assert_eq!((bare.loaded, bare.floor, bare.increment), (true, None, None));
        assert!(!mempool_info(&with(all.clone(), "loaded", json!(false))).loaded);
        for nonsense in [json!(-1), json!("0.1"), json!(1e30), json!(null)] {
            let info = mempool_info(&json!({"mempoolminfee": nonsense}));
            assert_eq!(info.floor, None, "{nonsense}");
        }
    }

    #[test]
    fn estimates_and_versions_may_be_missing() {
        assert_eq!(estimate(&json!({"feerate": 0.00002, "blocks": 2})), Some(2.0));
        assert_eq!(estimate(&json!({"errors": ["Insufficient data"], "blocks": 2})), None);
        assert_eq!(estimate(&json!({"feerate": -1})), None);
        assert_eq!(version(&json!({"version": 300_200})), Some("30.2".into()));
        assert_eq!(version(&json!({})), None);
    }
}
