"""What a user may train: exits and layers, the policy, when to offer text. Completing needs none of it."""
