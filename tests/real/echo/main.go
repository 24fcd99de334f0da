// Go's net/http: each request that it takes for one is a line of LOG, and is answered with what was read of it.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
)

func main() {
	log, err := os.OpenFile(os.Getenv("LOG"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		trailers := []string{}
		for name, values := range r.Trailer {
			if len(values) > 0 {
				trailers = append(trailers, name)
			}
		}
		told := map[string]any{"method": r.Method, "target": r.RequestURI, "token": r.Header.Get("X-Token"), "length": len(body), "trailers": trailers}
		line, _ := json.Marshal(told)
		log.Write(append(line, '\n'))
		told["body"] = string(body)
		answer, _ := json.Marshal(told)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	panic(http.ListenAndServe(os.Args[1], handler))
}
