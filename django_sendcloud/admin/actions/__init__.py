"""Actions of operators: button, question, note, history."""
