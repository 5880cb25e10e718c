"""A Flask application as people write them: a form, a cookie, a stream, an error page."""

from flask import Flask, Response, abort, request

app = Flask(__name__)


@app.route("/form", methods=["POST"])
def form():
    answer = Response(f"{request.form['product']} x {request.form['count']} for {request.cookies.get('who')}")
    answer.set_cookie("last", request.form["product"])
    return answer


@app.route("/echo", methods=["PUT"])
def echo():
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.route("/stream")
def stream():
    return Response((f"part {n}\n" for n in range(3)), mimetype="text/plain")


@app.route("/gone")
def gone():
    abort(410)
