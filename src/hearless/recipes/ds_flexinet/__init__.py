"""Paper 004: DS-FlexiNet, twelve fused teachers, device augmentation and int8 training."""
