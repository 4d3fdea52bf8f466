"""A server on this machine that answers as Zenodo does, and fails as it is told to."""

import hashlib
import json
import re
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALL_VERSIONS, VERSION = 14145284, 14145285
CONTENT = bytes(range(256)) * 40
FILES = {"data.tar.gz": CONTENT, "1_DeepSTARR.h5": b"weights", "2_DeepSTARR.h5": b"other weights"}

Request = namedtuple("Request", "path range if_range sent")


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


class Zenodo:
    """A server that answers as Zenodo does, and fails as it is told to."""

    def __init__(self):
        self.files = dict(FILES)
        self.listed = {}
        self.ranges = True
        self.etags = True
        self.cut = None
        self.status = {}
        self.busy, self.retry_after = 0, "7"
        self.record_body = None
        self.knows_all_versions = False
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def described(self):
        files = [
            {
                "id": str(i),
                "key": name,
                "size": len(content),
                "checksum": md5(content),
                "links": {"self": f"{self.url}/records/{VERSION}/files/{name}/content"},
                **self.listed.get(name, {}),
            }
            for i, (name, content) in enumerate(self.files.items())
        ]
        metadata = {"title": "Weights and data", "version": "v2"}
        return {"id": VERSION, "conceptrecid": str(ALL_VERSIONS), "metadata": metadata} | {
            "files": files
        }

    def answer(self, handler):
        path = handler.path.removeprefix("/api")
        status, headers, body = self.response(path, handler.headers)
        sent = body[: self.cut] if path.endswith("/content") else body
        asked = (handler.headers.get(name) for name in ("Range", "If-Range"))
        self.requests.append(Request(path, *asked, len(sent)))
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent)
        handler.close_connection = True

    def response(self, path, asked):
        if self.busy:
            self.busy -= 1
            return 503, {"Retry-After": self.retry_after}, b""
        if path.endswith("/content"):
            return self.file(path.split("/")[-2], asked)
        if path == f"/records/{VERSION}" or (
            path == f"/records/{ALL_VERSIONS}" and self.knows_all_versions
        ):
            body = self.record_body or json.dumps(self.described()).encode()
            return 200, {"Content-Type": "application/json"}, body
        if path.startswith("/records?"):
            hits = [self.described()] if f"conceptrecid%3A{ALL_VERSIONS}&" in path else []
            return 200, {}, json.dumps({"hits": {"hits": hits}}).encode()
        return 404, {}, b'{"status": 404}'

    def file(self, name, asked):
        if name in self.status:
            return self.status[name], {}, b""
        content = self.files[name]
        etag = f'"{md5(content)}"'
        headers = {"ETag": etag} if self.etags else {}
        start = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", ""))
        if start is None or not self.ranges or asked.get("If-Range", etag) != etag:
            return 200, headers, content
        start = int(start[1])
        if start >= len(content):
            return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return 206, headers, content[start:]

    def downloads(self):
        return [request for request in self.requests if request.path.endswith("/content")]
