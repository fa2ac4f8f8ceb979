package main

import (
	"crypto/hmac"
	"hash"

	"golang.org/x/crypto/blake2s"
)

type kdfFile struct {
	Description string       `json:"description"`
	Hash        []hashVector `json:"hash"`
	Mac         []macVector  `json:"mac"`
	Hmac        []macVector  `json:"hmac"`
	Kdf         []kdfVector  `json:"kdf"`
}

type hashVector struct {
	Input  string `json:"input"`
	Output string `json:"output"`
}

type macVector struct {
	Key    string `json:"key"`
	Input  string `json:"input"`
	Output string `json:"output"`
}

type kdfVector struct {
	Key     string   `json:"key"`
	Input   string   `json:"input"`
	Outputs []string `json:"outputs"`
}

func newBlake2s() hash.Hash {
	state, err := blake2s.New256(nil)
	check(err)
	return state
}

func hmacBlake2s(key []byte, parts ...[]byte) []byte {
	state := hmac.New(newBlake2s, key)
	for _, part := range parts {
		state.Write(part)
	}
	return state.Sum(nil)
}

func kdfVectors() kdfFile {
	file := kdfFile{
		Description: "Paper 5.4: hash = HASH (BLAKE2s-256), mac = MAC (keyed BLAKE2s, 16 bytes), " +
			"hmac = HMAC (HMAC-BLAKE2s-256), kdf = the outputs of KDF3; KDF1 and KDF2 are its first one and two. " +
			"Computed by golang.org/x/crypto/blake2s and Go's crypto/hmac.",
	}
	// One block is 64 bytes: lengths on and around its edges, for keys (HMAC) as for inputs.
	for _, length := range []int{0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 255, 1000} {
		input := counting(0, length)
		digest := blake2s.Sum256(input)
		file.Hash = append(file.Hash, hashVector{hexOf(input), hexOf(digest[:])})
	}
	for _, keyLength := range []int{1, 16, 32} {
		for _, length := range []int{0, 32, 116, 132, 200} {
			key, input := counting(0x80, keyLength), counting(1, length)
			state, err := blake2s.New128(key)
			check(err)
			state.Write(input)
			file.Mac = append(file.Mac, macVector{hexOf(key), hexOf(input), hexOf(state.Sum(nil))})
		}
	}
	for _, keyLength := range []int{0, 32, 64, 65, 100} {
		for _, length := range []int{0, 1, 33, 64, 150} {
			key, input := counting(0x40, keyLength), counting(7, length)
			file.Hmac = append(file.Hmac, macVector{hexOf(key), hexOf(input), hexOf(hmacBlake2s(key, input))})
		}
	}
	for i, length := range []int{0, 1, 32, 33, 64, 100} {
		key, input := counting(byte(0x10*i), 32), counting(byte(0x21*i), length)
		secret := hmacBlake2s(key, input)
		vector := kdfVector{Key: hexOf(key), Input: hexOf(input)}
		var last []byte
		for n := byte(1); n <= 3; n++ {
			last = hmacBlake2s(secret, last, []byte{n})
			vector.Outputs = append(vector.Outputs, hexOf(last))
		}
		file.Kdf = append(file.Kdf, vector)
	}
	return file
}
