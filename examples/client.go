// Creates a message over REST and reads it. Retries are idempotent: each call has its own key.
//
//	go run examples/client.go http://127.0.0.1:8001 'my password'
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

const tries = 5

func newKey() string {
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		panic(err)
	}
	key[6], key[8] = key[6]&0x0f|0x40, key[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", key[:4], key[4:6], key[6:8], key[8:10], key[10:])
}

// call repeats a call until its response arrives, and decodes it.
func call(url, path string, fields, result any) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Second}
	key := newKey()
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest(http.MethodPost, url+"/api/v1/"+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", key)
		response, err := client.Do(request)
		if err != nil {
			if attempt == tries {
				return err
			}
			time.Sleep(time.Duration(attempt) * time.Second / 4)
			continue
		}
		defer response.Body.Close()
		switch {
		case response.StatusCode == http.StatusNoContent:
			return errors.New("there is no unread message with this id and token")
		case response.StatusCode < 300:
			return json.NewDecoder(response.Body).Decode(result)
		case attempt == tries || response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable:
			return errors.New(response.Status)
		}
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		time.Sleep(time.Duration(seconds) * time.Second)
	}
}

func run(url, text string) error {
	var message struct {
		ID          int64  `json:"id"`
		AccessToken string `json:"access_token"`
	}
	if err := call(url, "create_message", map[string]any{"text": text, "ttl": 3600}, &message); err != nil {
		return err
	}
	var viewed struct {
		Text string `json:"text"`
	}
	if err := call(url, "view_message", map[string]any{"id": message.ID, "access_token": message.AccessToken}, &viewed); err != nil {
		return err
	}
	fmt.Println(viewed.Text)
	return nil
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
