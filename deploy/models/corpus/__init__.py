"""Generator of the training text: every prompt is made by `actors.deliberations.prompts` itself."""
