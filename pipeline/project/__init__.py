"""The user's side: model, data, weights, samples, and the templates of a new project."""
