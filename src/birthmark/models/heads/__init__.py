"""Reward heads: from hidden states to one number per conversation.

base.py          what a head is, what its tensors and config must hold
linear.py        one linear layer, named attributes, small networks (INF-ORM, GRM's value head)
gated.py         objectives weighted by a gate that reads the end of the user's turn (ArmoRM, QRM)
distributions.py a mean and a spread, or a distribution, for each attribute (URM, LDL)
known.py         which head a checkpoint has, by its tensors' names; heads that other packages add
"""
