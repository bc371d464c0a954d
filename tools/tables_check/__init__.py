"""Tables as scikit-learn, XGBoost, LightGBM and CatBoost export them, explained and compared with shap."""
