"""`saas demo`: the main job, done through the public API alone and checked step by step."""
