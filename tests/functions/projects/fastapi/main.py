"""A FastAPI application as people write them: a lifespan, a model, streaming, a cookie."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

STARTED = []


@asynccontextmanager
async def lifespan(app):
    STARTED.append(True)
    yield


app = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    product: str
    count: int = 1


@app.post("/orders", status_code=201)
async def order(order: Order, response: Response):
    response.set_cookie("last", order.product)
    return {"product": order.product, "count": order.count, "started": len(STARTED)}


@app.get("/stream")
def stream():
    return StreamingResponse((f"part {n}\n" for n in range(3)), media_type="text/plain")
