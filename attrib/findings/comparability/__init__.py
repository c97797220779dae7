"""Whether the two engines were compared under the same conditions: one function a check."""
