"""What else a shopper may want: from what is bought together, bought again and selling now, and from content where there is
little. Fitting a model to orders (:mod:`engine.recommend.fitting`) is for those who index: it takes scipy, and a server none."""

from engine.recommend.model import Bought, Model
from engine.recommend.orders import Orders

__all__ = ["Bought", "Model", "Orders"]
