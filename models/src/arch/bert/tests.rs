use candle_transformers::models::bert::{BertModel, Config as TheirConfig};
use candle_transformers::models::xlm_roberta::{
    Config as TheirRoberta, XLMRobertaForSequenceClassification, XLMRobertaModel,
};

use candle_core::{Device, Tensor};

use crate::arch::small::{
    self, Small, WITHIN, directory, gguf_file, input, load, near, options, pooled, same_vectors, sequences,
};
use crate::error::LoadError;
use crate::manifest::{Pooling, Task};
use crate::pool::{Instructions, PoolOptions, Precision};
use crate::task::embed::Sequence;
use crate::weights::gguf::tests::Scalar;

const CONFIG: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":48,"hidden_act":"gelu","hidden_dropout_prob":0.1,"max_position_embeddings":32,"type_vocab_size":2,"initializer_range":0.02,"layer_norm_eps":1e-12,"pad_token_id":0,"position_embedding_type":"absolute"}"#;
/// What config.json of a cross-encoder has besides.
const CROSS: &str = r#"{"architectures":["BertForSequenceClassification"],"id2label":{"0":"LABEL_0"},"#;
const HEADS: [&str; 1] = ["classifier"];

fn small() -> Small {
    Small::bert(2, 32)
}

fn xlm() -> String {
    CONFIG.replace("\"bert\"", "\"xlm-roberta\"").replace("\"pad_token_id\":0", "\"pad_token_id\":1")
}

fn roberta(config: &str) -> TheirRoberta {
    serde_json::from_str(&config.replacen('{', "{\"attention_probs_dropout_prob\":0.1,", 1)).unwrap()
}

/// What candle's own BERT makes of a sequence.
fn rows(model: &BertModel, sequence: &Sequence) -> Tensor {
    let kinds: Vec<u32> = (0..sequence.len()).map(|at| u32::from(at >= sequence.second)).collect();
    let kinds = Tensor::new(kinds.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    model.forward(&input(sequence), &kinds, None).unwrap().squeeze(0).unwrap()
}

fn theirs() -> BertModel {
    theirs_of(CONFIG)
}

fn theirs_of(config: &str) -> BertModel {
    let config: TheirConfig = serde_json::from_str(config).unwrap();
    BertModel::load(small().builder(""), &config).unwrap()
}

fn refusal(config: &str) -> LoadError {
    let (_folder, model, _) = directory(config, &small().tensors("", &[]), &[]).unwrap();
    load(&model, &PoolOptions::default()).err().unwrap()
}

/// How GGUF calls the tensors of BERT.
fn gguf_name(name: &str) -> String {
    [
        ("embeddings.word_embeddings", "token_embd"),
        ("embeddings.position_embeddings", "position_embd"),
        ("embeddings.token_type_embeddings", "token_types"),
        ("embeddings.LayerNorm", "token_embd_norm"),
        ("encoder.layer.", "blk."),
        ("attention.self.query", "attn_q"),
        ("attention.self.key", "attn_k"),
        ("attention.self.value", "attn_v"),
        ("attention.output.dense", "attn_output"),
        ("attention.output.LayerNorm", "attn_output_norm"),
        ("intermediate.dense", "ffn_up"),
        ("output.dense", "ffn_down"),
        ("output.LayerNorm", "layer_output_norm"),
        ("classifier.out_proj", "cls.output"),
        ("classifier.dense", "cls"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn header(pooling: u32) -> Vec<(String, Scalar)> {
    small::header("bert", [48, 2, 4, 32], 1e-12, pooling)
}

#[test]
fn vectors_are_those_of_candles_own_implementation_whatever_the_batch_and_the_threads() {
    let batch = sequences(32);
    let theirs = theirs();
    let expected: Vec<Vec<f32>> = batch.iter().map(|sequence| pooled(&rows(&theirs, sequence), false)).collect();
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    same_vectors(&model, &batch, &expected);
}

#[test]
fn roberta_counts_its_positions_from_the_padding_token_on() {
    let theirs = XLMRobertaModel::new(&roberta(&xlm()), small().builder("")).unwrap();
    for prefix in ["", "roberta."] {
        let (_folder, model, manifest) = directory(&xlm(), &small().tensors(prefix, &[]), &[]).unwrap();
        assert_eq!(manifest.embedding.unwrap().max_tokens, 30);
        for (precision, within) in WITHIN {
            let mut model = load(&model, &options(1, precision)).unwrap();
            assert_eq!(model.max_tokens(), 30);
            for length in [1, 2, 7, 30] {
                let sequence = Sequence::one((0..length).map(|n| 2 + n * 11 % 38).collect());
                let input = input(&sequence);
                let (ones, zeros) = (input.ones_like().unwrap(), input.zeros_like().unwrap());
                let rows = theirs.forward(&input, &ones, &zeros, None, None, None).unwrap().squeeze(0).unwrap();
                near(&model.encode(&[sequence]).unwrap()[0], &pooled(&rows, false), within);
            }
        }
    }
}

#[test]
fn vectors_are_the_same_to_the_last_bit_whatever_instructions_compute_them() {
    let of = |length: u32| Sequence::one((0..length).map(|i| (length + i * 3) % 40).collect());
    let batch: Vec<Sequence> = (1..33).map(of).collect();
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    let vectors = |instructions| {
        let options = PoolOptions { instructions, ..options(1, Precision::Int8) };
        load(&model, &options).unwrap().encode(&batch).unwrap()
    };
    let portable = vectors(Instructions::Portable);
    assert_eq!(vectors(Instructions::Avx2), portable);
    assert_eq!(vectors(Instructions::Best), portable);
}

#[test]
fn the_first_tokens_vector_is_taken_where_the_model_says_so() {
    let files = [
        ("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true}"#),
        ("sentence_bert_config.json", r#"{"max_seq_length": 16}"#),
    ];
    let (_folder, model, _) = directory(CONFIG, &small().tensors("bert.", &[]), &files).unwrap();
    let sequence = Sequence::one(vec![1, 5, 6, 2]);
    for (precision, within) in WITHIN {
        let mut model = load(&model, &options(1, precision)).unwrap();
        assert_eq!(model.max_tokens(), 16);
        let expected = pooled(&rows(&theirs(), &sequence), true);
        near(&model.encode(std::slice::from_ref(&sequence)).unwrap()[0], &expected, within);
    }
}

#[test]
fn tokens_have_the_vectors_of_the_last_layer_and_of_the_one_half_way_up_whatever_else_is_in_the_batch() {
    let sequence = Sequence::one(vec![1, 5, 6, 9, 2]);
    let lower = theirs_of(&CONFIG.replace("\"num_hidden_layers\":2", "\"num_hidden_layers\":1"));
    let [last, half] = [theirs(), lower].map(|model| rows(&model, &sequence).to_vec2::<f32>().unwrap());
    let normalised = |row: &Vec<f32>| {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect::<Vec<f32>>()
    };
    let expected: Vec<f32> =
        last.iter().zip(&half).flat_map(|(last, half)| [normalised(last), normalised(half)]).flatten().collect();
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    for (precision, within) in WITHIN {
        let mut model = load(&model, &options(2, precision)).unwrap();
        let whole = model.encode(std::slice::from_ref(&sequence)).unwrap();
        let alone = model.encode(&[sequence.clone().by_token()]).unwrap();
        near(&alone[0], &expected, within);
        let batch = [sequence.clone(), sequence.clone().by_token(), Sequence::one(vec![1, 7, 2])];
        let together = model.encode(&batch).unwrap();
        assert_eq!((&together[0], &together[1], together[2].len()), (&whole[0], &alone[0], 32));
    }
}

#[test]
fn a_file_in_gguf_gives_the_same_vectors_to_the_last_bit() {
    let batch = sequences(32);
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    let expected = load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap();
    let bytes = small().gguf(&header(1), |name| (gguf_name(name), 0));
    let (_folder, model, manifest) = gguf_file(&bytes).unwrap();
    let embedding = manifest.embedding.unwrap();
    assert_eq!((manifest.task, embedding.pooling, embedding.max_tokens), (Task::Embed, Pooling::Mean, 32));
    assert_eq!(load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap(), expected);
    let plan = crate::plan::Subject::of(&model).unwrap();
    assert_eq!(plan.name(), "tiny");
}

#[test]
fn a_file_in_gguf_whose_way_of_pooling_is_not_computed_is_refused() {
    let bytes = small().gguf(&header(3), |name| (gguf_name(name), 0));
    let refusal = gguf_file(&bytes).err().unwrap().to_string();
    assert!(refusal.contains("pooling (3)"), "{refusal}");
}

#[test]
fn a_cross_encoder_of_bert_scores_by_its_pooler_and_tells_the_second_text_apart() {
    let mut small = small();
    small.affine("pooler.dense", 32, 32, true);
    small.affine("classifier", 1, 32, true);
    let config = CONFIG.replacen('{', CROSS, 1);
    let (_folder, model, manifest) = directory(&config, &small.tensors("bert.", &HEADS), &[]).unwrap();
    assert_eq!(manifest.task, Task::Rerank);
    let theirs = theirs();
    let dense = |row: &Tensor, name: &str| {
        let weights = small.tensor(&format!("{name}.weight")).t().unwrap();
        (row.matmul(&weights).unwrap() + small.tensor(&format!("{name}.bias")).unsqueeze(0).unwrap()).unwrap()
    };
    let mut scores = Vec::new();
    for second in [3, 6] {
        let sequence = Sequence { second, ..Sequence::one(vec![1, 5, 2, 7, 8, 9, 2]) };
        let pooler = dense(&rows(&theirs, &sequence).get(0).unwrap().unsqueeze(0).unwrap(), "pooler.dense");
        let expected: Vec<f32> = dense(&pooler.tanh().unwrap(), "classifier").squeeze(0).unwrap().to_vec1().unwrap();
        for (precision, within) in WITHIN {
            let mut model = load(&model, &options(1, precision)).unwrap();
            assert_eq!(model.dimensions(), 1);
            near(&model.encode(std::slice::from_ref(&sequence)).unwrap()[0], &expected, within * 2.0);
        }
        scores.push(expected[0]);
    }
    assert!((scores[0] - scores[1]).abs() > 1e-3, "{scores:?}");
    let by_token = Sequence::one(vec![1, 5, 2]).by_token();
    assert!(load(&model, &options(1, Precision::Int8)).unwrap().encode(&[by_token]).is_err());
}

#[test]
fn a_cross_encoder_of_roberta_scores_as_candles_own_does_in_both_kinds_of_file() {
    let mut small = small();
    small.affine("classifier.dense", 32, 32, true);
    small.affine("classifier.out_proj", 1, 32, true);
    let config = xlm().replacen('{', &CROSS.replace("Bert", "XLMRoberta"), 1);
    let tensors = small.tensors("roberta.", &HEADS);
    let builder = candle_nn::VarBuilder::from_tensors(tensors.clone(), candle_core::DType::F32, &Device::Cpu);
    let theirs = XLMRobertaForSequenceClassification::new(1, &roberta(&xlm()), builder).unwrap();
    let sequence = Sequence::one(vec![5, 7, 2, 2, 8, 9, 2]);
    let input = input(&sequence);
    let (ones, zeros) = (input.ones_like().unwrap(), input.zeros_like().unwrap());
    let expected: Vec<f32> = theirs.forward(&input, &ones, &zeros).unwrap().squeeze(0).unwrap().to_vec1().unwrap();
    // The converter cuts off the positions that are never used.
    let place = |name: &str| (gguf_name(name), if name.contains("position_embeddings") { 2 } else { 0 });
    let bytes = small.gguf(&header(4), place);
    for model in [directory(&config, &tensors, &[]).unwrap(), gguf_file(&bytes).unwrap()] {
        let (_folder, model, manifest) = model;
        assert_eq!((manifest.task, manifest.embedding.unwrap().max_tokens), (Task::Rerank, 30));
        for (precision, within) in WITHIN {
            let mut model = load(&model, &options(1, precision)).unwrap();
            near(&model.encode(std::slice::from_ref(&sequence)).unwrap()[0], &expected, within * 2.0);
        }
    }
}

#[test]
fn a_model_that_sorts_into_classes_is_refused() {
    let config = CONFIG.replacen('{', &CROSS.replace("\"0\":\"LABEL_0\"", "\"0\":\"a\",\"1\":\"b\""), 1);
    let refusal = directory(&config, &small().tensors("", &[]), &[]).err().unwrap().to_string();
    assert!(refusal.contains("2 classes"), "{refusal}");
}

#[test]
fn what_sentence_transformers_adds_and_is_not_computed_is_refused() {
    let modules = |kind: &str| {
        format!(
            r#"[{{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"}},{{"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}},{{"idx":2,"path":"2_X","type":"sentence_transformers.models.{kind}"}}]"#
        )
    };
    let (dense, fine) = (modules("Dense"), modules("Normalize"));
    for (path, text, word) in [
        ("1_Pooling/config.json", r#"{"pooling_mode_lasttoken": true}"#, "lasttoken"),
        ("1_Pooling/config.json", r#"{"pooling_mode": "lasttoken"}"#, "lasttoken"),
        (
            "1_Pooling/config.json",
            r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}"#,
            "cls with mean",
        ),
        ("1_Pooling/config.json", r#"{"word_embedding_dimension": 32}"#, "pooling ()"),
        ("1_Pooling/config.json", "not json", "line 1"),
        ("modules.json", dense.as_str(), "Dense"),
    ] {
        let refusal = directory(CONFIG, &small().tensors("", &[]), &[(path, text)]).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
    let newer = [("modules.json", fine.as_str()), ("1_Pooling/config.json", r#"{"pooling_mode": "cls"}"#)];
    let (_folder, _, manifest) = directory(CONFIG, &small().tensors("", &[]), &newer).unwrap();
    assert_eq!(manifest.embedding.unwrap().pooling, Pooling::Cls);
}

#[test]
fn a_cross_encoder_in_gguf_is_known_by_its_last_layer_where_the_file_does_not_say() {
    let mut small = small();
    small.affine("classifier.dense", 32, 32, true);
    small.affine("classifier.out_proj", 1, 32, true);
    let silent: Vec<_> = header(1).into_iter().filter(|(key, _)| key != "bert.pooling_type").collect();
    let (_folder, _, manifest) = gguf_file(&small.gguf(&silent, |name| (gguf_name(name), 0))).unwrap();
    assert_eq!(manifest.task, Task::Rerank);
    let bare = |name: &str| (gguf_name(name).replace("cls.output", "other"), 0);
    let refusal = gguf_file(&small.gguf(&silent, bare)).err().unwrap().to_string();
    assert!(refusal.contains("pooler"), "{refusal}");
}

#[test]
fn a_side_of_one_that_quantising_dropped_is_not_missed() {
    let mut small = small();
    small.affine("classifier.dense", 32, 32, true);
    small.add("classifier.out_proj.weight", &[32], 0.0);
    small.add("classifier.out_proj.bias", &[1], 0.0);
    let (_folder, model, _) = gguf_file(&small.gguf(&header(4), |name| (gguf_name(name), 0))).unwrap();
    assert!(load(&model, &options(1, Precision::Int8)).is_ok());
}

#[test]
fn a_token_that_the_model_has_not_is_an_error() {
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    let mut model = load(&model, &options(1, Precision::Int8)).unwrap();
    assert!(model.encode(&[Sequence::one(vec![1, 2]), Sequence::one(vec![1, 40, 2])]).is_err());
    assert!(model.encode(&[Sequence::one(vec![])]).is_err());
}

#[test]
fn what_is_not_supported_or_does_not_fit_is_refused_by_name() {
    for (from, to, word) in [
        ("\"gelu\"", "\"relu\"", "relu"),
        ("\"absolute\"", "\"relative_key\"", "absolute"),
        ("\"num_attention_heads\":4", "\"num_attention_heads\":5", "sizes"),
        ("\"num_hidden_layers\":2", "\"num_hidden_layers\":3", "encoder.layer.2"),
        ("\"vocab_size\":40", "\"vocab_size\":39", "tokenizer"),
        ("\"hidden_size\":32", "\"hidden_size\":64", "shape"),
    ] {
        let refusal = refusal(&CONFIG.replace(from, to)).to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn a_text_is_framed_once_and_its_markup_is_text() {
    let bytes = small().gguf(&header(1), |name| (gguf_name(name), 0));
    let (_folder, model, _) = gguf_file(&bytes).unwrap();
    let gguf = crate::arch::load_encoder(&model, Task::Embed, &PoolOptions::default()).unwrap();
    let (_folder, model, _) = directory(CONFIG, &small().tensors("", &[]), &[]).unwrap();
    let loaded = crate::arch::load_encoder(&model, Task::Embed, &PoolOptions::default()).unwrap();
    for tokens in [loaded.tokens, gguf.tokens] {
        assert_eq!(tokens.encode_framed("w5 w6").unwrap(), [1, 5, 6, 2]);
        // The brackets and the word are unknown here; what matters is that no token 2 stands in the middle.
        assert_eq!(tokens.encode_framed("[SEP]").unwrap(), [1, 3, 3, 3, 2]);
        // The file's own truncation to 8 is not applied.
        assert_eq!(tokens.encode_framed(&"w5 ".repeat(20)).unwrap().len(), 22);
        // Two texts: the end of the second is cut off, its tokens and the last mark count as its own.
        let pair = tokens.pair(&[5, 6], &[7, 8, 9], 7).unwrap();
        assert_eq!((pair.tokens.as_slice(), pair.second), ([1, 5, 6, 2, 7, 8, 2].as_slice(), 4));
    }
}
