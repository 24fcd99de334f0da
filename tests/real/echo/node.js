// Node's http: each request that it takes for one is a line of LOG, and is answered with what was read of it.
const fs = require("node:fs");
const http = require("node:http");

const log = fs.openSync(process.env.LOG, "a");
const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("error", () => {});
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const told = { method: request.method, target: request.url, token: request.headers["x-token"] ?? "", length: body.length, trailers: Object.keys(request.trailers) };
    fs.writeSync(log, JSON.stringify(told) + "\n");
    const answer = Buffer.from(JSON.stringify({ ...told, body: body.toString("latin1") }));
    response.writeHead(200, { "content-type": "application/json", "content-length": answer.length });
    response.end(answer);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
