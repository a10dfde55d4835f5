package xray

import "strings"

// The lists of what may leave a DICOM file as text. A code string can hold a
// name as well as a code, so that its form alone lets nothing through.

// modalities are those of pictures that may be radiographs (PS3.3 C.7.3.1.1.1).
func modalities() []string {
	return []string{"CR", "DX", "RG", "RF", "XA", "MG", "IO", "PX", "OT", "SC", "CT", "MR", "US", "NM", "PT", "ES", "XC", "GM", "RTIMAGE", "RTDOSE"}
}

// bodyParts are the defined terms of PS3.16 annex L that a radiograph of the
// trunk or a limb has, and the spellings in use.
func bodyParts() []string {
	return []string{
		"SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "CTSPINE", "TLSPINE", "LSSPINE", "WHOLESPINE", "WHOLE SPINE", "COCCYX",
		"CHEST", "ABDOMEN", "PELVIS", "HIP", "SKULL", "HEAD", "NECK", "RIB", "STERNUM", "SHOULDER", "CLAVICLE", "SCAPULA",
		"ARM", "HUMERUS", "ELBOW", "FOREARM", "WRIST", "HAND", "FINGER", "LEG", "FEMUR", "THIGH", "KNEE", "PATELLA", "ANKLE",
		"FOOT", "TOE", "CALCANEUS", "JAW", "BREAST", "EXTREMITY", "WHOLEBODY",
	}
}

// views are the defined terms of View Position (PS3.3 C.8.7.3.1.1.2 and CR).
func views() []string {
	return []string{"AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL", "OBLIQUE"}
}

// detectors are the defined terms of Detector Type (PS3.3 C.8.11.5).
func detectors() []string { return []string{"DIRECT", "SCINTILLATOR", "STORAGE", "FILM"} }

func lateralities() []string { return []string{"L", "R", "U", "B"} }

// manufacturer returns the maker that a Manufacturer element names, by the
// beginning that its many spellings share; "" for one that is not listed. A
// model's name has no list, so that it stays in the file.
func manufacturer(text string) string {
	text = strings.ToUpper(text)
	for _, maker := range []string{
		"AGFA", "CANON", "CARESTREAM", "DRGEM", "DRTECH", "EOS", "FUJI", "GE", "GMM", "HOLOGIC", "KODAK", "KONICA", "MINDRAY",
		"PHILIPS", "SAMSUNG", "SHIMADZU", "SIEMENS", "SWISSRAY", "TOSHIBA", "TRIXELL", "VAREX", "VARIAN", "VIEWORKS",
	} {
		if word, _, _ := strings.Cut(text, " "); strings.HasPrefix(word, maker) && (len(maker) > 3 || word == maker) {
			return maker
		}
	}
	return ""
}
