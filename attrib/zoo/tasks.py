"""Tasks: which of transformers' auto classes puts the head on an encoder."""

TASKS: dict[str, str] = {
    "": "AutoModel",
    "fill-mask": "AutoModelForMaskedLM",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "next-sentence-prediction": "AutoModelForNextSentencePrediction",
}
"""Task name -> name of the auto class in transformers; the empty name is the bare encoder."""
