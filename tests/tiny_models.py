"""Tiny transformers of several families with random weights, saved as users save theirs."""

from engine.encoder.samples import PRODUCTS, QUERIES

WORDS = ["query", "product", ":", *sorted({w for t in (*PRODUCTS, *QUERIES) for w in t.lower().split() if w.isascii()})]


def save_model(folder, *, pooling="mean", prompts=None, seed=0, modules=(), family="bert", plain=False):
    """Save a tiny transformer with random weights, as sentence-transformers does, or as transformers does."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        AutoModel,
        BertConfig,
        DistilBertConfig,
        MPNetConfig,
        PreTrainedTokenizerFast,
        XLMRobertaConfig,
    )

    torch.manual_seed(seed)
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *(f"{p}{chr(c)}" for p in ("", "##") for c in range(97, 123)),
        *WORDS,
    ]
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(dict.fromkeys(vocabulary))}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    if family == "bert":
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=64,
        )  # fmt: skip
    elif family == "distilbert":
        config = DistilBertConfig(
            vocab_size=len(vocabulary), dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64
        )
    else:
        config = {"xlm-roberta": XLMRobertaConfig, "mpnet": MPNetConfig}[family](
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=66, pad_token_id=0,
        )  # fmt: skip
    transformer = folder if plain else folder.parent / f"{folder.name}-transformer"
    AutoModel.from_config(config).save_pretrained(transformer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if family == "bert" else [])],
    ).save_pretrained(transformer)  # fmt: skip
    if not plain:
        parts = [Transformer(str(transformer)), Pooling(32, pooling_mode=pooling), *modules]
        SentenceTransformer(modules=parts, prompts=prompts, device="cpu").save(str(folder))
    return folder


def original(folder, max_tokens):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = max_tokens
    return model
