"""What else a shopper may want: from what is bought together, bought again and selling now, and from content where there is
little."""

from engine.recommend.fitting import Fit, fit_model
from engine.recommend.model import Bought, Model
from engine.recommend.orders import Orders

__all__ = ["Bought", "Fit", "Model", "Orders", "fit_model"]
