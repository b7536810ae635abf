"""The routes, as a Ray Serve deployment (FastAPI).

GET /sample?count=16&seed=7&format=png    count samples; equal seeds give equal samples
GET /latent?z=0.1,-2,...&format=json      the sample of one z
GET /health, /metrics, /docs, /           state, Prometheus, OpenAPI,
                                          a page to turn the latent dimensions

Requests that wait together go through the networks together (`serve.batch`).
"""

# no `from __future__ import annotations`: FastAPI reads these annotations when the class is made
import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from ray import serve

from raygan.errors import RayganError
from raygan.gan.random_streams import REACH
from raygan.service.runs.generators import Drawn
from raygan.service.scores.formats import MEDIA, Format, encoded
from raygan.service.serving.source import Rolling, Source, numbers

MOST = 10_000
"""Samples of one request."""
WAIT_S = 0.002
"""How long a request waits for others that go through the networks with it; with `MOST` samples."""
PAGE = Path(__file__).parents[1] / "templates" / "serve.html"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' blob:; script-src 'unsafe-inline'; style-src"
        " 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page is one file: its script and style are in it, and nothing is loaded from elsewhere."""
api = FastAPI(title="raygan", description="Samples of a generator.")


class Figures:
    """What /metrics tells of one replica."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "raygan_serve_requests", "Requests, by status.", ["status"], registry=self.registry
        )
        self.samples = Counter("raygan_serve_samples", "Samples made.", registry=self.registry)
        self.seconds = Histogram(
            "raygan_serve_seconds", "From request to answer.", registry=self.registry
        )
        self.rolled = Gauge(
            "raygan_serve_rolled", "Checkpoints taken since the start.", registry=self.registry
        )
        self.stale = Gauge(
            "raygan_serve_stale", "1: the newest one cannot be served.", registry=self.registry
        )


@serve.deployment(max_ongoing_requests=1000)
@serve.ingress(api)
class Service:
    """One replica: the model, in a process of its own."""

    def __init__(self, source: Source, every_s: float) -> None:
        self.rolling = Rolling(source)
        self.rolling.look_for_ever(every_s)
        self.figures = Figures()

    @serve.batch(
        max_batch_size=MOST,
        batch_wait_timeout_s=WAIT_S,
        batch_size_fn=lambda asked: sum(count for count, _ in asked),
    )
    async def draw(self, asked: list[tuple[int, int]]) -> list[tuple[Drawn, str]]:
        """For each (count, seed) its samples, and the checkpoint that they are from."""
        model = self.rolling.model
        made = await asyncio.to_thread(model.generators.draw_many, asked)
        return [(model.generators.drawn(x), model.checkpoint) for x in made]

    @api.get("/sample", response_class=Response)
    async def sample(
        self,
        count: Annotated[int, Query(ge=1, le=MOST, description="How many samples.")] = 16,
        seed: Annotated[int | None, Query(ge=0, lt=2**63, description="Drawn if left out.")] = None,
        format: Annotated[Format, Query(description="Form of the answer.")] = "json",
    ) -> Response:
        """Samples, as `raygan sample --seed` draws them, up to rounding, in the data's own units;
        pictures of 0..255, 0..1 or -1..1 in [-1, 1]. As png a picture is a picture in any units.
        """
        seed = random.SystemRandom().getrandbits(48) if seed is None else seed
        with self.counted():
            drawn, checkpoint = await self.draw((count, seed))
            self.figures.samples.inc(count)
            raw = await asyncio.to_thread(encoded, drawn, format)
            told = {"X-Raygan-Seed": str(seed), "X-Raygan-Checkpoint": checkpoint}
            return Response(raw, media_type=MEDIA[format], headers=told)

    @api.get("/latent", response_class=Response)
    async def latent(
        self,
        z: Annotated[str, Query(description="Numbers between commas, one a latent dimension.")],
        format: Annotated[Format, Query(description="Form of the answer.")] = "json",
    ) -> Response:
        """The sample of one z; of a mixture, its first generator's."""
        model = self.rolling.model
        with self.counted():
            drawn = await asyncio.to_thread(model.latent, numbers(z))
            raw = await asyncio.to_thread(encoded, drawn, format)
            self.figures.samples.inc()
            return Response(
                raw, media_type=MEDIA[format], headers={"X-Raygan-Checkpoint": model.checkpoint}
            )

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Time and outcome of a request for samples; what raygan refuses is a 400 with its one
        line, 499 is one that nobody waits for any more.
        """
        begun, status = time.monotonic(), "200"
        try:
            yield
        except RayganError as error:
            status = "400"
            raise HTTPException(400, str(error)) from None
        # nginx's number for a client that has gone; HTTP has none
        except asyncio.CancelledError:
            status = "499"
            raise
        except Exception:
            status = "500"
            raise
        finally:
            self.figures.requests.labels(status).inc()
            self.figures.seconds.observe(time.monotonic() - begun)

    @api.get("/health")
    async def health(self) -> dict[str, Any]:
        """What is served, and whether it is the newest."""
        rolling, model = self.rolling, self.rolling.model
        made, shape = model.generators, await self.shape()
        prior, z_dim = next(iter(made.priors.values()))
        return {
            "status": "stale" if rolling.failed else "ok", "problem": rolling.failed,
            "source": rolling.source.path, "which": model.which, "checkpoint": model.checkpoint,
            "rolled": rolling.rolled, "generators": list(made.networks), "shape": shape,
            "z_dim": z_dim, "prior": prior, "reach": REACH[prior], "rejection": bool(made.judges),
            "share_kept": made.share_kept, "text": bool(made.alphabet),
        }  # fmt: skip

    async def shape(self) -> list[int]:
        """The shape of one sample, without the batch."""
        (drawn, _) = await self.draw((1, 0))
        return list(drawn.made.shape[1:])

    @api.get("/metrics", response_class=Response)
    async def metrics(self) -> Response:
        """Prometheus text; Ray Serve's own metrics are where Ray's are."""
        self.figures.rolled.set(self.rolling.rolled)
        self.figures.stale.set(bool(self.rolling.failed))
        return Response(generate_latest(self.figures.registry), media_type="text/plain")

    @api.get("/", response_class=HTMLResponse)
    async def page(self) -> HTMLResponse:
        """Sliders for the latent dimensions."""
        return HTMLResponse(PAGE.read_text(), headers=HEADERS)
