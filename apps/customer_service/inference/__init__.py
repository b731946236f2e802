"""The only door of the customer service to the models: one module for each kind of question."""
