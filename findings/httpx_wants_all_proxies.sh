#!/usr/bin/env bash
# httpx 0.28.1 and httpx2 2.16.2: a client is not made where the environment has a proxy or certificates that no request
# of it would use.
#
# Both open all of the environment's proxies, and its certificates, when a client is made; which of them a request takes
# is looked up later. So for a server on this machine, by plain http:
#   ALL_PROXY of the kind SOCKS, NO_PROXY with the server's address   ImportError: 'socksio' is not installed
#   the same with socksio                                             answered, and the proxy was not asked
#   SSL_CERT_FILE that is not there                                   FileNotFoundError, though nothing is encrypted
#   urllib in either environment                                      answered
# Who asks one server only may pass `trust_env=False`, or must expect ImportError, ValueError, OSError and InvalidURL
# from the constructor. Exits non-zero when a client is made.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q httpx==0.28.1 httpx2==2.16.2
cat >"$folder/ask.py" <<'PYTHON'
import http.server
import importlib
import sys
import threading
import urllib.request


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
name = sys.argv[1]
try:
    if name == "urllib":
        said = urllib.request.urlopen(url, timeout=5).read().decode()
    else:
        said = importlib.import_module(name).Client(timeout=5).get(url).text
except Exception as error:
    said = type(error).__name__
print(said)
PYTHON
ask() { env "${@:2}" "$folder/venv/bin/python" "$folder/ask.py" "$1"; }
socks=(ALL_PROXY=socks5://127.0.0.1:9 NO_PROXY=127.0.0.1)
certificates=(SSL_CERT_FILE=/nowhere.pem)
found=""
for name in httpx httpx2 urllib; do
  found+="$name: $(ask "$name" "${socks[@]}"), $(ask "$name" "${certificates[@]}")"$'\n'
done
"$folder/venv/bin/pip" install -q socksio==1.0.0
for name in httpx httpx2; do
  found+="$name with socksio: $(ask "$name" "${socks[@]}")"$'\n'
done
printf '%s' "$found"
[ "$found" = "httpx: ImportError, FileNotFoundError
httpx2: ImportError, FileNotFoundError
urllib: ok, ok
httpx with socksio: ok
httpx2 with socksio: ok
" ]
