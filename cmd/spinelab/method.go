package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"spinebox/lab/train"
	"spinebox/models/weights"
)

// methodOf sets the method, with its own settings wherever the command line
// does not give others, and reads the backbone that it begins with.
func methodOf(cmd *cobra.Command, c *train.Config, method, pretrained string) (*weights.File, error) {
	m := train.Method(method)
	ours := train.Default().For(m)
	c.Method, c.HeadEpochs, c.HeadRate = m, ours.HeadEpochs, ours.HeadRate
	if !cmd.Flags().Changed("epochs") {
		c.Epochs = ours.Epochs
	}
	if !cmd.Flags().Changed("batch") {
		c.Batch = ours.Batch
	}
	if !cmd.Flags().Changed("rate") {
		c.Rate = ours.Rate
	}
	c.HeadEpochs = min(c.HeadEpochs, c.Epochs/2)
	if pretrained == "" {
		return nil, nil
	}
	backbone, err := weights.Read(pretrained)
	if err != nil {
		return nil, err
	}
	if backbone.Architecture != c.Network {
		return nil, usageError{fmt.Errorf("%s holds a %s, and the network is %s", pretrained, backbone.Architecture, c.Network)}
	}
	c.Backbone = backbone.Digest
	return backbone, nil
}
