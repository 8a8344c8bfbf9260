"""A Flask application in the form of SageMaker's XGBoost image, with one prediction per request.

benchmarks/serving.py runs it: `gunicorn --worker-class gevent serving_flask:app` with MODEL set.
"""

import csv
import os

import flask
import numpy as np
import xgboost as xgb

app = flask.Flask(__name__)
booster = xgb.Booster()
booster.load_model(os.environ["MODEL"])
booster.set_param("nthread", 1)


@app.get("/ping")
def ping():
    return flask.Response(status=200)


@app.post("/invocations")
def invocations():
    lines = flask.request.data.strip().decode("utf-8").split("\n")
    delimiter = csv.Sniffer().sniff(lines[0][:512]).delimiter
    cells = [["nan" if cell == "" else cell for cell in line.split(delimiter)] for line in lines]
    matrix = xgb.DMatrix(np.array(cells).astype(float), nthread=1)
    rows = booster.predict(matrix, validate_features=False).tolist()
    body = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
    return flask.Response(body, mimetype="text/csv")
