#!/bin/sh
# Well is 0. What is said last is told: there is no secret in it.
echo "release $1: the stock of nothing is below zero"
