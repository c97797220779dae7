"""Rules about the speed and the number types of single operators."""
