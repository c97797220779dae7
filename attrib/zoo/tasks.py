"""Tasks: which of transformers' auto classes builds the model."""

GENERATION = "text-generation"
"""The task in which a language model keeps a cache."""

WITH_ENCODER = "AutoModelForSeq2SeqLM"
"""The auto class of models that generate from what an encoder has read."""

TASKS: dict[str, str] = {
    "": "AutoModel",
    "text-encoding": "AutoModelForTextEncoding",
    "fill-mask": "AutoModelForMaskedLM",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "next-sentence-prediction": "AutoModelForNextSentencePrediction",
    GENERATION: "AutoModelForCausalLM",
    "image-classification": "AutoModelForImageClassification",
}
"""Task name -> name of the auto class in transformers; the empty name is the bare model."""
