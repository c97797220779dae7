"""Tasks: which of transformers' auto classes builds the model."""

TASKS: dict[str, str] = {
    "": "AutoModel",
    "text-encoding": "AutoModelForTextEncoding",
    "fill-mask": "AutoModelForMaskedLM",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "next-sentence-prediction": "AutoModelForNextSentencePrediction",
    "text-generation": "AutoModelForCausalLM",
    "image-classification": "AutoModelForImageClassification",
}
"""Task name -> name of the auto class in transformers; the empty name is the bare model."""
